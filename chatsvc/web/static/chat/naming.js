// A title that is changed in its place: Enter and leaving save it, Esc does not.
import * as chats from "./chats.js";
import { facts } from "./facts.js";
import { html, useLayoutEffect, useRef } from "./lib.js";
import { notice, say } from "./notices.js";
import { talk } from "./talk.js";

export function Naming({ chat, onDone }) {
  const field = useRef(null);
  const left = useRef(false);
  useLayoutEffect(() => field.current.select(), []);
  const leave = async (save, byKey) => {
    if (left.current) return;
    left.current = true;
    const title = field.current.value.trim();
    onDone(byKey);
    if (!save || !title || title === chat.title) return;
    try {
      const renamed = await chats.rename(chat.id, title);
      if (talk.peek()?.id === chat.id) talk.peek().chat.value = renamed;
      say("Renamed");
    } catch (problem) {
      notice(`Couldn't rename the chat. ${problem.message}`);
    }
  };
  const key = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter") leave(true, true);
    else if (event.key === "Escape") leave(false, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <input
      ref=${field}
      class="naming"
      aria-label="Title of the chat"
      maxlength=${facts.longestTitle}
      defaultValue=${chats.titleOf(chat)}
      onKeyDown=${key}
      onBlur=${() => leave(true, false)}
    />
  `;
}
