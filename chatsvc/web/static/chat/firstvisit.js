// Where no chat is open: one sentence, and three things to try.
import { writeInto } from "./composer.js";
import { html } from "./lib.js";

const IDEAS = ["Explain a for loop to me, with a small example in Python", "Make a table of three plants that like shade", "Help me write a short thank-you note"];

export function FirstVisit() {
  return html`
    <div class="first">
      <h2>What would you like to talk about?</h2>
      <ul>
        ${IDEAS.map((idea) => html`<li key=${idea}><button type="button" onClick=${() => writeInto(idea)}>${idea}</button></li>`)}
      </ul>
    </div>
  `;
}
