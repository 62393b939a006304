// The line above the conversation: which chat this is, and what can be done with it.
import { Answering } from "./answering.js";
import { dialog } from "./dialogs.js";
import { drawerOpen, folded, isNarrow, toggleSidebar } from "./drawer.js";
import { copy } from "./copy.js";
import { MenuIcon, MoreIcon } from "./icons.js";
import { html, useRef, useSignal } from "./lib.js";
import { Naming } from "./naming.js";
import { talk } from "./talk.js";
import { titleOf } from "./chats.js";

export function TopBar() {
  const here = talk.value;
  const chat = here?.chat.value;
  const shown = isNarrow.value ? drawerOpen.value : !folded.value;
  return html`
    <header class="topbar">
      <button type="button" class="plain icon-button" aria-label=${shown ? "Hide chats" : "Show chats"} aria-expanded=${shown} aria-controls="sidebar" onClick=${toggleSidebar}>
        <${MenuIcon} />
      </button>
      ${chat ? html`<${Title} key=${chat.id} chat=${chat} />` : html`<h1>${here ? "Chat" : "New chat"}</h1>`}
      <${Answering} />
      ${chat && html`<${Menu} key=${`menu-${chat.id}`} chat=${chat} here=${here} />`}
    </header>
  `;
}

// The menu and the title both begin a renaming.
const renaming = { begin: () => {} };

function Title({ chat }) {
  const naming = useSignal(false);
  const button = useRef(null);
  renaming.begin = () => (naming.value = true);
  const done = (byKey) => {
    naming.value = false;
    if (byKey) setTimeout(() => button.current?.focus());
  };
  if (naming.value) return html`<h1><${Naming} chat=${chat} onDone=${done} /></h1>`;
  return html`
    <h1>
      <button type="button" class="plain title" ref=${button} title="Click to rename" onClick=${renaming.begin}>${titleOf(chat)}</button>
    </h1>
  `;
}

function Menu({ chat, here }) {
  const menu = useRef(null);
  const act = (what) => () => {
    menu.current.open = false;
    what();
  };
  const leave = (event) => {
    if (!menu.current.contains(event.relatedTarget)) menu.current.open = false;
  };
  const key = (event) => {
    if (event.key !== "Escape" || !menu.current.open) return;
    event.preventDefault();
    event.stopPropagation();
    menu.current.open = false;
    menu.current.firstElementChild.focus();
  };
  return html`
    <details class="menu" ref=${menu} onFocusOut=${leave} onKeyDown=${key}>
      <summary class="icon-button" aria-label="What to do with this chat"><${MoreIcon} /></summary>
      <div class="menu-items">
        <button type="button" class="plain" onClick=${act(renaming.begin)}>Rename</button>
        <button type="button" class="plain" onClick=${act(() => copy(asText(here)))}>Copy this chat</button>
        <button type="button" class="plain" onClick=${act(() => (dialog.value = { kind: "keys" }))}>Keyboard</button>
        <button type="button" class="plain" onClick=${act(() => (dialog.value = { kind: "delete", chat }))}>Delete</button>
      </div>
    </details>
  `;
}

function asText(here) {
  const names = { user: "You", assistant: "Assistant", system: "System" };
  return here.rows
    .peek()
    .map((one) => one.now.peek())
    .map(({ role, content }) => `${names[role]}:\n${content}\n`)
    .join("\n");
}
