// Short words at the edge of the screen, some with a way back; and what is said to screen readers.
import { html, signal } from "./lib.js";

const notices = signal([]);
const spoken = signal("");
let last = 0;

export function notice(text, { action = null, act = null, seconds = 8 } = {}) {
  last += 1;
  const id = last;
  notices.value = [...notices.value, { id, text, action, act }];
  setTimeout(() => dismiss(id), seconds * 1000);
}

function dismiss(id) {
  notices.value = notices.value.filter((one) => one.id !== id);
}

// The same words twice would not be spoken twice.
export function say(text) {
  spoken.value = "";
  setTimeout(() => {
    spoken.value = text;
  }, 50);
}

export function Notices() {
  return html`
    <div class="notices" role="region" aria-label="Notices">
      ${notices.value.map(
        (one) => html`
          <div class="notice" key=${one.id}>
            <span>${one.text}</span>
            ${one.action &&
            html`<button
              type="button"
              class="plain"
              onClick=${() => {
                dismiss(one.id);
                one.act();
              }}
            >
              ${one.action}
            </button>`}
          </div>
        `,
      )}
    </div>
    <div class="unseen" role="status">${spoken.value || notices.value.at(-1)?.text}</div>
  `;
}
