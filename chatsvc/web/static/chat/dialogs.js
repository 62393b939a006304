// The dialogs there are: a new chat, deleting one, the keys.
import { go, place } from "./address.js";
import { PersonaChoice } from "./answering.js";
import * as chats from "./chats.js";
import { Dialog } from "./dialog.js";
import { keepWish } from "./drafts.js";
import { facts } from "./facts.js";
import { uuid } from "./ids.js";
import { html, signal, useRef, useSignal } from "./lib.js";
import { notice } from "./notices.js";
import { forgetTalk, talk } from "./talk.js";
import { KEYS } from "./keys.js";

// null, or {kind: "new" | "delete" | "keys", chat?, then?}
export const dialog = signal(null);
const close = () => (dialog.value = null);

export function Dialogs() {
  const shown = dialog.value;
  if (shown?.kind === "new") return html`<${NewChat} />`;
  if (shown?.kind === "delete") return html`<${DeleteChat} ...${shown} />`;
  if (shown?.kind === "keys") return html`<${Keys} />`;
  return null;
}

function NewChat() {
  const title = useSignal("");
  const persona = useSignal(null);
  const problem = useSignal("");
  const busy = useSignal(false);
  const keys = useRef({}); // one per title: a second try of the same makes no second chat
  const create = async (event) => {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    try {
      const wanted = title.value.trim();
      keys.current[wanted] ??= uuid();
      const made = await chats.make(wanted, keys.current[wanted]);
      // Its first message says so to the service.
      if (persona.value) keepWish(made.id, { id: persona.value });
      close();
      go({ chat: made.id, deleted: false, search: "" });
    } catch (error) {
      problem.value = error.message;
      busy.value = false;
    }
  };
  return html`
    <${Dialog} title="New chat" onClose=${close}>
      <form onSubmit=${create}>
        <label>
          <span>Title (optional)</span>
          <input
            data-first
            maxlength=${facts.longestTitle}
            placeholder="Named by its first message"
            value=${title.value}
            onInput=${(event) => (title.value = event.currentTarget.value)}
          />
        </label>
        <${PersonaChoice} id=${persona.value} onChoose=${(id) => (persona.value = id)} />
        ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
        <div class="choices">
          <button type="button" onClick=${close}>Cancel</button>
          <button type="submit" class="main">Create</button>
        </div>
      </form>
    <//>
  `;
}

function DeleteChat({ chat, then }) {
  const problem = useSignal("");
  const title = chats.titleOf(chat);
  const remove = async () => {
    try {
      await chats.remove(chat.id);
    } catch (error) {
      problem.value = error.message;
      return;
    }
    const wasOpen = place.peek().chat === chat.id;
    close();
    forgetTalk(chat.id);
    if (wasOpen) {
      talk.value = null;
      go({ chat: null });
    }
    then?.();
    notice(`“${title}” is deleted`, { action: "Undo", act: () => bringBack(chat, wasOpen) });
  };
  return html`
    <${Dialog} title="Delete this chat?" onClose=${close}>
      <p>“${title}” goes to Recently deleted. It can be restored for ${facts.deletedForDays} days.</p>
      ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
      <div class="choices">
        <button type="button" data-first onClick=${close}>Cancel</button>
        <button type="button" class="danger" onClick=${remove}>Delete</button>
      </div>
    <//>
  `;
}

async function bringBack(chat, wasOpen) {
  try {
    await chats.restore(chat.id);
    if (wasOpen) go({ chat: chat.id });
  } catch (problem) {
    notice(`Couldn't restore the chat. ${problem.message}`);
  }
}

function Keys() {
  return html`
    <${Dialog} title="Keyboard" onClose=${close}>
      <dl class="keys">
        ${KEYS.map(
          ([keys, what]) => html`
            <div key=${keys}>
              <dt>${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd>`)}</dt>
              <dd>${what}</dd>
            </div>
          `,
        )}
      </dl>
      <div class="choices"><button type="button" data-first onClick=${close}>Close</button></div>
    <//>
  `;
}
