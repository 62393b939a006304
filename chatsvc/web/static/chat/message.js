// One message: the person's at the right, the assistant's at the left.
import { CopyButton } from "./copy.js";
import { html, useLayoutEffect, useRef, useSignal } from "./lib.js";
import { notice } from "./notices.js";
import { answerAgain, sendAgain, takeBack } from "./replies.js";
import { edit, remove } from "./talk.js";
import { FormattedText } from "./text.js";
import { shortly, wholly } from "./times.js";

const NAMES = { user: "You", assistant: "Assistant", system: "System" };
const REASONS = {
  timeout: "The model took too long.",
  unreachable: "Couldn't reach the model.",
  circuit_open: "The model is taking a rest.",
  interrupted: "The service was interrupted.",
};

export function Message({ here, one, next, last }) {
  const editing = useSignal(false);
  const message = one.now.value;
  const { role, content, status, waiting } = message;
  return html`
    <article class=${`message ${role}`} data-status=${status} aria-label=${NAMES[role]}>
      <span class="unseen">${NAMES[role]}: </span>
      ${editing.value
        ? html`<${Editor} here=${here} one=${one} reply=${last ? null : next} onDone=${() => (editing.value = false)} />`
        : html`
            ${(content || status === "streaming") &&
            html`<div class=${status === "streaming" ? "bubble growing" : "bubble"} dir="auto">
              ${role === "assistant"
                ? html`${waiting || (status === "streaming" && !content)
                    ? html`<span class="dots" role="img" aria-label="Writing"><i></i><i></i><i></i></span>`
                    : html`<${FormattedText} content=${content} growing=${status === "streaming"} />`}`
                : html`<div class="plain-text">${content}</div>`}
            </div>`}
            <${Outcome} here=${here} one=${one} last=${last} />
            <${Actions} here=${here} one=${one} last=${last} onEdit=${() => (editing.value = true)} />
          `}
    </article>
  `;
}

// How it ended, in words, where that is not as one would expect.
function Outcome({ here, one, last }) {
  const { status, unsent, detail, metadata } = one.now.value;
  const busy = Boolean(here.running.value);
  if (unsent) {
    return html`
      <div class="outcome problem">
        <span>${unsent.words}</span>
        <button type="button" class="small" disabled=${busy} onClick=${() => sendAgain(here, one)}>Retry</button>
        <button type="button" class="plain small" onClick=${() => takeBack(here, one)}>Remove</button>
        <${Details} words=${unsent.requestId && `Request ${unsent.requestId}`} />
      </div>
    `;
  }
  if (status === "cancelled") return html`<div class="outcome">Stopped</div>`;
  if (status !== "failed") return null;
  const error = metadata?.error ?? {};
  return html`
    <div class="outcome problem">
      <span>${REASONS[error.kind] ?? "The model couldn't answer."} Your message is saved.</span>
      ${last && html`<button type="button" class="small" disabled=${busy} onClick=${() => answerAgain(here, one)}>Retry</button>`}
      <${Details} words=${error.message ?? detail} />
    </div>
  `;
}

function Details({ words }) {
  return words ? html`<details><summary>Details</summary>${words}</details>` : null;
}

function Actions({ here, one, last, onEdit }) {
  const { role, content, status, id, created_at, edited_at, unsent } = one.now.value;
  if (!id || status === "streaming" || unsent) return html`<div class="actions"></div>`;
  const busy = Boolean(here.running.value);
  const away = async () => {
    try {
      await remove(here, one);
    } catch (problem) {
      notice(`Couldn't delete the message. ${problem.message}`);
    }
  };
  return html`
    <div class="actions">
      <time datetime=${created_at} title=${wholly(created_at)}>${shortly(created_at)}${edited_at ? ", edited" : ""}</time>
      ${content && html`<${CopyButton} text=${content} words="Copy message" />`}
      ${role === "user" && html`<button type="button" class="plain small" aria-label="Edit message" disabled=${busy} onClick=${onEdit}>Edit</button>`}
      ${role === "assistant" &&
      last &&
      status !== "failed" &&
      html`<button type="button" class="plain small" disabled=${busy} onClick=${() => answerAgain(here, one)}>Retry</button>`}
      <button type="button" class="plain small" aria-label="Delete message" disabled=${busy} onClick=${away}>Delete</button>
    </div>
  `;
}

// `reply` is what follows the message; where that is its reply and the last word, it can be asked for anew.
function Editor({ here, one, reply, onDone }) {
  const field = useRef(null);
  const problem = useSignal("");
  useLayoutEffect(() => {
    field.current.focus();
    field.current.setSelectionRange(field.current.value.length, field.current.value.length);
  }, []);
  const again = reply && reply === here.rows.value.at(-1) && reply.now.value.role === "assistant";
  const save = async (andAsk) => {
    const content = field.current.value;
    if (!content.trim()) {
      problem.value = "A message needs some words.";
      return;
    }
    try {
      if (content !== one.now.peek().content) await edit(here, one, content);
      onDone();
      if (andAsk) answerAgain(here, reply);
    } catch (error) {
      problem.value = error.message;
    }
  };
  const key = (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault();
      onDone();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      save(again);
    }
  };
  return html`
    <div class="editor">
      <textarea ref=${field} aria-label="Edit message" rows="3" defaultValue=${one.now.peek().content} onKeyDown=${key}></textarea>
      ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
      <div class="choices">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button type="button" class=${again ? "" : "main"} onClick=${() => save(false)}>Save</button>
        ${again && html`<button type="button" class="main" onClick=${() => save(true)}>Save and ask again</button>`}
      </div>
    </div>
  `;
}
