// Light, dark, or as the system has it.
import { html, signal } from "./lib.js";

const NAMES = [
  ["system", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
];
// theme.js reads the bare word before anything else runs.
const chosen = signal(document.documentElement.dataset.theme);

function choose(name) {
  chosen.value = name;
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("chatsvc.theme", name);
  } catch {
    // It holds until the page is left.
  }
}

export function ThemeChoice() {
  return html`
    <fieldset class="themes">
      <legend class="unseen">Colours</legend>
      ${NAMES.map(
        ([name, words]) => html`
          <label key=${name}>
            <input type="radio" name="theme" value=${name} checked=${chosen.value === name} onChange=${() => choose(name)} />
            <span>${words}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}
