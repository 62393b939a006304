// Copying, with a word that it is done.
import { html, useSignal } from "./lib.js";
import { say } from "./notices.js";

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    byHand(text);
  }
  say("Copied");
}

// On an insecure origin there is no clipboard to write to, only a selection to copy.
function byHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function CopyButton({ text, words = "Copy" }) {
  const done = useSignal(false);
  const act = async () => {
    await copy(text);
    done.value = true;
    setTimeout(() => (done.value = false), 2000);
  };
  return html`<button type="button" class="plain small" aria-label=${words} onClick=${act}>${done.value ? "Copied" : "Copy"}</button>`;
}
