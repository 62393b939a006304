// The personas: whether each is on, how its breaker stands, and what can be done with it.
import { answer } from "../chat/api.js";
import { html, signal } from "../chat/lib.js";
import { notice, say } from "../chat/notices.js";
import { go } from "./place.js";
import { events, personas } from "./sources.js";
import { Table } from "./table.js";
import { moment } from "./words.js";

// What the form shows: null, {} for a new one, or the persona that is changed.
export const edited = signal(null);
export const KINDS = { webhook: "Webhook (n8n)", openai: "Chat Completions", anthropic: "Messages API", echo: "Echo" };

export function Personas() {
  const columns = [
    { name: "Name", cell: (one) => html`<button type="button" class="link" onClick=${() => go({ persona: one.personaId })} title="Show its figures">${one.name}</button>` },
    { name: "Kind", cell: (one) => KINDS[one.kind] ?? one.kind },
    { name: "Asks", loose: "wide-cell", cell: (one) => (one.kind === "webhook" ? one.webhookUrl : [one.model, one.baseUrl].filter(Boolean).join(" at ")) || "–" },
    { name: "State", cell: (one) => (one.isActive ? "On" : "Switched off") },
    { name: "Breaker", cell: (one) => html`<${Breaker} circuit=${one.circuit} />` },
    { name: "Change", cell: (one) => html`<${Actions} one=${one} />` },
  ];
  const add = personas.now.value.data && html`<button type="button" onClick=${() => (edited.value = {})}>+ New persona</button>`;
  return html`<${Table} source=${personas} name="Personas" columns=${columns} keyOf=${(one) => one.personaId} action=${add}
    nothing="There is no persona yet. The usual responder answers everybody." />`;
}

function Breaker({ circuit }) {
  const { state, failures, openedAt } = circuit;
  if (state === "open") return html`<b class="problem">Open since ${moment(openedAt)}</b>, ${failures} failures in a row`;
  if (state === "half_open") return html`<b class="problem">Half open</b>, the next question tries it`;
  return failures ? `Closed, ${failures} ${failures === 1 ? "failure" : "failures"} in a row` : "Closed";
}

function Actions({ one }) {
  const turn = async () => {
    try {
      await answer("PATCH", `/api/personas/${one.personaId}`, { body: { isActive: !one.isActive } });
      say(one.isActive ? "Switched off" : "Switched on");
    } catch (problem) {
      notice(`Couldn't change “${one.name}”. ${problem.message}.`);
    }
    lookAgain();
  };
  return html`<div class="actions-cell">
    <button type="button" class="small" aria-label=${`Edit ${one.name}`} onClick=${() => (edited.value = one)}>Edit</button>
    <button type="button" class="small" aria-label=${`Switch ${one.isActive ? "off" : "on"} ${one.name}`} onClick=${turn}>${one.isActive ? "Switch off" : "Switch on"}</button>
  </div>`;
}

export function lookAgain() {
  personas.refresh();
  events.refresh();
}
