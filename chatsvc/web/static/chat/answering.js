// Who answers, and the choice of it: in the line above the conversation, and where a chat is made.
import { html } from "./lib.js";
import { answering, choose, personaOf, personas } from "./personas.js";
import { talk } from "./talk.js";

export function Answering() {
  const here = talk.value;
  const id = answering(here);
  if (id === undefined || here?.state.value === "missing") return null;
  return html`<${PersonaChoice} id=${id} onChoose=${(chosen) => choose(here, chosen)} inLine=${true} />`;
}

export function PersonaChoice({ id, onChoose, inLine = false }) {
  const now = id && personaOf(id);
  const off = now && !personas.value.some((one) => one.personaId === id);
  if (!personas.value.length && !now) return null;
  return html`
    <label class=${inLine ? "answering" : ""}>
      <span class=${inLine ? "unseen" : ""}>Answered by</span>
      <select title=${now ? now.name : null} value=${id ?? ""} onChange=${(event) => onChoose(event.currentTarget.value || null)}>
        <option value="">The usual responder</option>
        ${off && html`<option value=${id} disabled>${now.name} (switched off)</option>`}
        ${personas.value.map((one) => html`<option key=${one.personaId} value=${one.personaId}>${one.name}</option>`)}
      </select>
    </label>
  `;
}

// Said before a message is refused for it.
export function SwitchedOff() {
  const id = answering(talk.value);
  const now = id && personaOf(id);
  if (!now || now.isActive) return null;
  return html`<div class="network" role="status">“${now.name}” is switched off and answers no more. Choose above who answers from now on.</div>`;
}
