// One chat of the sidebar: its title, when it was last used, how it goes on; and what can be done with it.
import { addressOf, follow, place } from "./address.js";
import { restore, titleOf } from "./chats.js";
import { dialog } from "./dialogs.js";
import { closeDrawer } from "./drawer.js";
import { html, useRef, useSignal } from "./lib.js";
import { Naming } from "./naming.js";
import { notice } from "./notices.js";
import { shortly, wholly } from "./times.js";

export function ChatItem({ chat, search }) {
  const naming = useSignal(false);
  const item = useRef(null);
  const open = place.value.chat === chat.id;
  const title = titleOf(chat);
  const focus = () => item.current?.querySelector("a")?.focus();
  const named = (byKey) => {
    naming.value = false;
    if (byKey) setTimeout(focus);
  };
  const remove = () => {
    const neighbour = beside(item.current);
    dialog.value = { kind: "delete", chat, then: () => setTimeout(() => (neighbour?.isConnected ? neighbour : document.getElementById("search"))?.focus()) };
  };
  return html`
    <li class=${open ? "chat open" : "chat"} ref=${item}>
      ${naming.value
        ? html`<${Naming} chat=${chat} onDone=${named} />`
        : html`
            <a
              href=${addressOf({ chat: chat.id })}
              aria-current=${open ? "page" : undefined}
              onClick=${(event) => {
                follow(event, { chat: chat.id });
                closeDrawer();
              }}
              onDblClick=${() => (naming.value = true)}
            >
              <span class="chat-title"><${Marked} text=${title} search=${search} /></span>
              <time datetime=${chat.updated_at} title=${wholly(chat.updated_at)}>${shortly(chat.updated_at)}</time>
              <span class="chat-preview">${chat.last_message ?? ""}</span>
            </a>
            <div class="chat-actions">
              <button type="button" class="plain small" aria-label=${`Rename ${title}`} onClick=${() => (naming.value = true)}>Rename</button>
              <button type="button" class="plain small" aria-label=${`Delete ${title}`} onClick=${remove}>Delete</button>
            </div>
          `}
    </li>
  `;
}

function beside(item) {
  const all = [...document.querySelectorAll("#sidebar .chat > a")];
  const at = all.indexOf(item.querySelector("a"));
  return all[at + 1] ?? all[at - 1] ?? null;
}

export function DeletedItem({ chat, search }) {
  const bringBack = async () => {
    try {
      await restore(chat.id);
      notice(`“${titleOf(chat)}” is back`);
    } catch (problem) {
      notice(`Couldn't restore the chat. ${problem.message}`);
    }
  };
  return html`
    <li class="chat deleted">
      <span class="chat-title"><${Marked} text=${titleOf(chat)} search=${search} /></span>
      <button type="button" class="small" aria-label=${`Restore ${titleOf(chat)}`} onClick=${bringBack}>Restore</button>
    </li>
  `;
}

// The found part of a title. Lower and upper case of some letters differ in length: then nothing is marked rather than the wrong part.
function Marked({ text, search }) {
  const at = search ? text.toLowerCase().indexOf(search.toLowerCase()) : -1;
  if (at < 0 || text.toLowerCase().length !== text.length) return text;
  const end = at + search.length;
  return html`${text.slice(0, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end)}`;
}
