// The chats at the left: found, opened, begun; and who is signed in.
import { me, signOut } from "./account.js";
import { follow, addressOf, go, place } from "./address.js";
import { ChatItem, DeletedItem } from "./chatitem.js";
import { list, more, shelf } from "./chats.js";
import { dialog } from "./dialogs.js";
import { html, useEffect, useRef } from "./lib.js";
import { notice } from "./notices.js";
import { ThemeChoice } from "./themes.js";
import { groupOf } from "./times.js";

export function Sidebar() {
  const { deleted } = place.value;
  return html`
    <nav class="sidebar" id="sidebar" aria-label="Chats">
      <div class="sidebar-head">
        <button type="button" class="main wide" onClick=${() => (dialog.value = { kind: "new" })}>+ New Chat</button>
        <${Search} />
        ${deleted && html`<h2 class="bin-title">Recently deleted</h2>`}
      </div>
      <${List} />
      <div class="sidebar-foot">
        <a
          href=${addressOf({ deleted: !deleted, search: "" })}
          onClick=${(event) => follow(event, { deleted: !place.peek().deleted, search: "" })}
        >
          ${deleted ? "Back to your chats" : "Recently deleted"}
        </a>
        ${me.value.role === "ADMIN" && html`<a href="/chat-ui/admin">Admin</a>`}
        <${ThemeChoice} />
        <div class="person">
          <span class="person-name" title=${me.value.username}>${me.value.username}</span>
          <button type="button" onClick=${leave}>Logout</button>
        </div>
      </div>
    </nav>
  `;
}

async function leave() {
  try {
    await signOut();
  } catch (problem) {
    notice(`Couldn't sign out. ${problem.message}`);
  }
}

function Search() {
  const { deleted } = place.value;
  const words = deleted ? "Search deleted chats" : "Search chats";
  const clear = (event) => {
    if (event.key !== "Escape" || !event.currentTarget.value) return;
    event.preventDefault();
    go({ search: "" }, { quietly: true });
  };
  return html`
    <input
      type="search"
      id="search"
      aria-label=${words}
      placeholder=${words}
      maxlength="255"
      autocomplete="off"
      value=${place.value.search}
      onInput=${(event) => go({ search: event.currentTarget.value }, { quietly: true })}
      onKeyDown=${clear}
    />
  `;
}

function List() {
  const { rows, state, next, search, deleted, problem } = shelf.value;
  const box = useRef(null);
  const end = useRef(null);
  useEffect(() => {
    const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && more(), { root: box.current, rootMargin: "400px" });
    watcher.observe(end.current);
    return () => watcher.disconnect();
    // Watched anew after each part: what is still in view then asks for the next.
  }, [rows.length, state]);
  return html`
    <div class="list" ref=${box}>
      ${state === "loading" && !rows.length && html`<div class="skeleton" role="img" aria-label="Loading">${[1, 2, 3, 4].map((n) => html`<i key=${n}></i>`)}</div>`}
      ${state === "failed" &&
      html`<div class="empty" role="alert">
        <p>Couldn't load your chats. ${problem.message}.</p>
        <button type="button" onClick=${list}>Try again</button>
      </div>`}
      ${state === "ready" && !rows.length && html`<p class="empty">${emptyWords(search, deleted)}</p>`}
      ${groups(rows).map(
        ([name, chats]) => html`
          <section key=${name} aria-label=${name}>
            <h3>${name}</h3>
            <ul>
              ${chats.map((chat) => html`<${deleted ? DeletedItem : ChatItem} key=${chat.id} chat=${chat} search=${search} />`)}
            </ul>
          </section>
        `,
      )}
      <div ref=${end}>${next && html`<button type="button" class="plain wide" onClick=${more}>Load more</button>`}</div>
    </div>
  `;
}

function emptyWords(search, deleted) {
  if (search) return `No chat with “${search}” in its title.`;
  return deleted ? "Nothing is deleted." : "No chats yet. Write a message to begin one.";
}

function groups(rows) {
  const now = new Date();
  const found = new Map();
  for (const chat of rows) {
    const name = groupOf(chat.updated_at, now);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(chat);
  }
  return [...found];
}
