// The page: put together here, and told what the address, the keys and the network say.
import { findOut, me } from "./account.js";
import { place } from "./address.js";
import { SwitchedOff } from "./answering.js";
import { get, reached } from "./api.js";
import * as chats from "./chats.js";
import { Composer, focusComposer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { copy } from "./copy.js";
import { dialog, Dialogs } from "./dialogs.js";
import { closeDrawer, drawerOpen, folded, isNarrow, toggleSidebar } from "./drawer.js";
import { listen } from "./keys.js";
import { effect, html, render, signal } from "./lib.js";
import { Notices, say } from "./notices.js";
import { findPersonas } from "./personas.js";
import { stop } from "./replies.js";
import { Sidebar } from "./sidebar.js";
import { SignIn, SignInAgain } from "./signin.js";
import { open, refresh, talk } from "./talk.js";
import { loadMarkdown } from "./text.js";
import { TopBar } from "./topbar.js";

const online = signal(navigator.onLine);
const failed = signal(null);

function Page() {
  if (failed.value) return html`<${CannotStart} />`;
  if (me.value === undefined) return html`<div class="skeleton" role="img" aria-label="Loading"></div>`;
  if (me.value === null) return html`<${SignIn} /><${Notices} />`;
  const covered = isNarrow.value && drawerOpen.value;
  const classes = ["page", folded.value && "folded", covered && "covered"].filter(Boolean).join(" ");
  return html`
    <a class="skip" href="#message" onClick=${skip}>Skip to the message field</a>
    <div class=${classes}>
      <div class="side" inert=${isNarrow.value ? !drawerOpen.value : folded.value}><${Sidebar} /></div>
      ${covered && html`<div class="backdrop" onClick=${closeDrawer}></div>`}
      <main inert=${covered}>
        <${TopBar} />
        <${NetworkBar} />
        <${SwitchedOff} />
        <${Conversation} />
        <${Composer} />
      </main>
    </div>
    <${Notices} />
    <${Dialogs} />
    <${SignInAgain} />
  `;
}

function skip(event) {
  event.preventDefault();
  focusComposer();
}

function NetworkBar() {
  if (online.value && reached.value) return null;
  return html`<div class="network" role="status">
    ${online.value ? "The service can't be reached just now. What you write is kept here." : "You're offline. What you write is kept here."}
  </div>`;
}

function CannotStart() {
  return html`<main class="signin">
    <h1>Couldn't reach the service</h1>
    <button type="button" class="main" onClick=${start}>Try again</button>
  </main>`;
}

async function start() {
  failed.value = null;
  try {
    await findOut();
  } catch (problem) {
    failed.value = problem;
  }
}

function isTyping() {
  return document.activeElement?.matches("input, textarea, select") ?? false;
}

function lookAgain() {
  if (document.hidden || !me.peek()) return;
  chats.list();
  if (talk.peek() && talk.peek().begun) refresh(talk.peek());
}

listen({
  newChat: () => (dialog.value = { kind: "new" }),
  search() {
    if (isNarrow.peek() ? !drawerOpen.peek() : folded.peek()) toggleSidebar();
    setTimeout(() => document.getElementById("search")?.focus());
  },
  sidebar: toggleSidebar,
  focus: focusComposer,
  help: () => (dialog.value = { kind: "keys" }),
  stop() {
    if (document.querySelector("dialog[open]")) return false;
    if (drawerOpen.peek()) closeDrawer();
    else if (talk.peek()?.running.peek()) stop(talk.peek());
    else return false;
    return true;
  },
  copyLast() {
    const reply = talk.peek()?.rows.peek().findLast((one) => one.now.peek().role === "assistant");
    if (reply) copy(reply.now.peek().content);
  },
});

addEventListener("online", () => {
  online.value = true;
  lookAgain();
});
addEventListener("offline", () => {
  online.value = false;
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && me.peek()) findPersonas();
  lookAgain();
});

// A service that is away is asked for, ever more seldom, until it is back.
let waited = 0;
effect(() => {
  if (reached.value) {
    if (waited) lookAgain();
    waited = 0;
    return;
  }
  knock();
});

function knock() {
  waited = Math.min(10000, waited * 1.5 + 1000);
  setTimeout(() => {
    if (!reached.peek()) get("/healthz", { open: true }).catch(() => !reached.peek() && knock());
  }, waited);
}

// What the address says is what is shown.
let before = {};
effect(() => {
  const { chat, search, deleted } = place.value;
  if (!me.value) return;
  const first = before.who !== me.value.id;
  if (first || search !== before.search || deleted !== before.deleted) later(() => chats.list(), first ? 0 : 150);
  if (first || chat !== before.chat) open(chat);
  if (first) findPersonas();
  before = { who: me.value.id, chat, search, deleted };
});

let planned = 0;
function later(work, milliseconds) {
  clearTimeout(planned);
  planned = setTimeout(work, milliseconds);
}

// The title of the tab follows the chat.
effect(() => {
  const here = talk.value;
  const title = me.value === null ? "Sign in" : here?.chat.value ? chats.titleOf(here.chat.value) : here ? "Chat" : "New chat";
  if (document.title === `${title} · chatsvc`) return;
  document.title = `${title} · chatsvc`;
  if (me.value && here?.chat.value && !isTyping()) say(title);
});

render(html`<${Page} />`, document.getElementById("page"));
start().then(() => {
  if (me.peek()) setTimeout(loadMarkdown, 300);
});
