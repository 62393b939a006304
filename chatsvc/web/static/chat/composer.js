// Where messages are written. What is typed is kept until it is sent.
import { place } from "./address.js";
import { draftOf, keepDraft } from "./drafts.js";
import { facts } from "./facts.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useSignal } from "./lib.js";
import { send, stop } from "./replies.js";
import { talk } from "./talk.js";

const field = { current: null };
const text = signal("");
const NEARLY = 500;

export function focusComposer() {
  field.current?.focus();
}

// Where a keyboard on the screen would jump up, the field waits until it is touched.
function returnToField() {
  if (matchMedia("(hover: hover)").matches) focusComposer();
}

// Puts words into the field, for the person to change and send.
export function writeInto(words) {
  text.value = words;
  keepDraft(place.peek().chat, words);
  focusComposer();
}

export function Composer() {
  const box = useRef(null);
  field.current = box.current;
  const { chat } = place.value;
  const here = talk.value;
  const running = here?.running.value ?? null;
  const seconds = useSecondsUntil(here?.until.value ?? 0);
  useLayoutEffect(() => {
    field.current = box.current;
  });
  useLayoutEffect(() => {
    text.value = draftOf(chat);
    returnToField();
  }, [chat]);
  useLayoutEffect(() => fit(box.current), [text.value, chat]);
  const length = [...text.value].length;
  const tooLong = length > facts.longestMessage;
  const gone = here?.state.value === "missing";
  const ready = !running && !seconds && !tooLong && !gone && text.value.trim() !== "";
  const submit = (event) => {
    event?.preventDefault();
    if (!ready) return;
    const words = text.peek();
    keepDraft(chat, "");
    text.value = "";
    send(words);
    returnToField();
  };
  const halt = () => {
    stop(here);
    returnToField();
  };
  const typed = (event) => {
    text.value = event.currentTarget.value;
    keepDraft(chat, text.peek());
  };
  const key = (event) => {
    // While a character is being composed, Enter chooses it; 229 is how some browsers say so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  return html`
    <form class="composer" onSubmit=${submit} aria-label="Write a message">
      <div class="composer-box">
        <textarea
          ref=${box}
          id="message"
          rows="1"
          aria-label="Message"
          placeholder="Write a message"
          value=${text.value}
          disabled=${gone}
          aria-invalid=${tooLong}
          aria-describedby="composer-words"
          onInput=${typed}
          onKeyDown=${key}
        ></textarea>
        ${running
          ? html`<button type="button" class="main" key="stop" onClick=${halt}>Stop</button>`
          : html`<button type="submit" class="main" key="send" disabled=${!ready}>Send</button>`}
      </div>
      <p id="composer-words" class=${tooLong || seconds ? "composer-words problem" : "composer-words"}>${words(length, seconds)}</p>
    </form>
  `;
}

function words(length, seconds) {
  if (seconds) return `Too many messages. You can send again in ${seconds} s.`;
  const left = facts.longestMessage - length;
  if (left < 0) return `${-left} characters too many`;
  return left <= NEARLY ? `${left} characters left` : "";
}

// As high as what is written, up to a third of the page; then it scrolls.
function fit(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

function useSecondsUntil(moment) {
  const left = useSignal(0);
  useEffect(() => {
    const look = () => {
      left.value = Math.max(0, Math.ceil((moment - Date.now()) / 1000));
    };
    look();
    const timer = moment > Date.now() ? setInterval(look, 250) : null;
    return () => clearInterval(timer);
  }, [moment]);
  return moment > Date.now() ? Math.max(1, left.value) : 0;
}
