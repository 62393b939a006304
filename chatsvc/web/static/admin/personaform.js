// A persona is made or changed. Secrets are written here and never shown.
import { answer } from "../chat/api.js";
import { Dialog } from "../chat/dialog.js";
import { uuid } from "../chat/ids.js";
import { html, useRef, useSignal } from "../chat/lib.js";
import { say } from "../chat/notices.js";
import { edited, KINDS, lookAgain } from "./personas.js";
import { moment } from "./words.js";

const MODELS = ["openai", "anthropic"];
const FIELDS = [
  { name: "webhookUrl", words: "Webhook address", kinds: ["webhook"], type: "url", longest: 2000 },
  { name: "baseUrl", words: "Base address (optional)", kinds: MODELS, type: "url", longest: 2000 },
  { name: "model", words: "Model (optional)", kinds: MODELS, longest: 255 },
  { name: "systemPrompt", words: "System prompt (optional)", kinds: [...MODELS, "echo"], long: true, longest: 20000 },
  { name: "timeoutMs", words: "Waits at most, in milliseconds (optional)", kinds: ["webhook", ...MODELS], type: "number" },
];
const SECRETS = [
  { name: "secret", words: "Signing secret", kinds: ["webhook"] },
  { name: "apiKey", words: "API key", kinds: MODELS },
];

export function PersonaForm() {
  return edited.value && html`<${Form} key=${edited.value.personaId ?? "new"} one=${edited.value} />`;
}

function Form({ one }) {
  const isNew = !one.personaId;
  const kind = useSignal(one.kind ?? "webhook");
  const wrongs = useSignal({});
  const problem = useSignal("");
  const busy = useSignal(false);
  const keys = useRef({}); // one per content: a second try of the same makes no second persona
  const close = () => (edited.value = null);
  const save = async (event) => {
    event.preventDefault();
    if (busy.value) return;
    const body = given(event.currentTarget.elements, one, kind.value);
    if (!Object.keys(body).length) return close();
    busy.value = true;
    try {
      const content = JSON.stringify(body);
      keys.current[content] ??= uuid();
      if (isNew) await answer("POST", "/api/personas", { body, key: keys.current[content] });
      else await answer("PATCH", `/api/personas/${one.personaId}`, { body });
      say("Saved");
      lookAgain();
      close();
    } catch (error) {
      wrongs.value = Object.fromEntries((error.body?.errors ?? []).map(({ field, message }) => [field, message]));
      problem.value = `${error.message}.`;
      busy.value = false;
    }
  };
  const shown = (field) => field.kinds.includes(kind.value);
  return html`
    <${Dialog} title=${isNew ? "New persona" : "Change this persona"} onClose=${close}>
      <form onSubmit=${save} autocomplete="off">
        <${Field} field=${{ name: "name", words: "Name", longest: 255, required: true }} one=${one} wrongs=${wrongs.value} />
        <label>
          <span>Kind</span>
          <select name="kind" value=${kind.value} onChange=${(event) => (kind.value = event.currentTarget.value)}>
            ${Object.entries(KINDS).map(([name, words]) => html`<option key=${name} value=${name}>${words}</option>`)}
          </select>
        </label>
        ${FIELDS.filter(shown).map((field) => html`<${Field} key=${field.name} field=${field} one=${one} wrongs=${wrongs.value} />`)}
        ${kind.value === "webhook" &&
        html`<label>
          <span>Answers</span>
          <select name="answers">
            <option value="direct" selected=${one.answers !== "callback"}>At once, in its answer</option>
            <option value="callback" selected=${one.answers === "callback"}>Later, by a signed callback</option>
          </select>
        </label>`}
        ${SECRETS.filter(shown).map((field) => html`<${Secret} key=${field.name} field=${field} isNew=${isNew} isThere=${field.name === "secret" && one.hasSecret} goodUntil=${one.previousSecretUntil} wrongs=${wrongs.value} />`)}
        <label class="check"><input type="checkbox" name="isActive" defaultChecked=${one.isActive ?? true} /><span>It may be chosen and answers</span></label>
        ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
        <div class="choices">
          <button type="button" onClick=${close}>Cancel</button>
          <button type="submit" class="main" disabled=${busy.value}>${isNew ? "Create" : "Save"}</button>
        </div>
      </form>
    <//>
  `;
}

function Field({ field, one, wrongs }) {
  const { name, words, type = "text", long = false, longest, required = false } = field;
  const wrong = wrongs[name];
  const attributes = { name, required, maxlength: longest, "aria-invalid": Boolean(wrong), "data-first": name === "name" };
  return html`<label>
    <span>${words}</span>
    ${long ? html`<textarea rows="4" ...${attributes} defaultValue=${one[name] ?? ""}></textarea>` : html`<input type=${type} ...${attributes} defaultValue=${one[name] ?? ""} />`}
    ${wrong && html`<em class="problem">${wrong}</em>`}
  </label>`;
}

function Secret({ field, isNew, isThere, goodUntil, wrongs }) {
  const { name, words } = field;
  return html`
    <label>
      <span>${words}${isNew ? " (optional)" : ""}</span>
      <input type="password" name=${name} autocomplete="new-password" maxlength="1000" aria-invalid=${Boolean(wrongs[name])} placeholder=${isNew ? "" : "Leave empty to keep it as it is"} />
      ${wrongs[name] && html`<em class="problem">${wrongs[name]}</em>`}
    </label>
    ${isThere &&
    html`
      <label class="check"><input type="checkbox" name="keepsPrevious" /><span>The secret that is replaced stays good for a day</span></label>
      ${goodUntil && html`<label class="check"><input type="checkbox" name="noPrevious" /><span>End the secret before it at once (good until ${moment(goodUntil)})</span></label>`}
      <label class="check"><input type="checkbox" name="noSecret" /><span>Take the signing secret away</span></label>
    `}
  `;
}

// What is sent: of a new persona what was filled in, of another one what is different now.
function given(elements, one, kind) {
  const body = {};
  const put = (name, value) => {
    if (value !== (one[name] ?? null)) body[name] = value;
  };
  put("name", elements.name.value.trim());
  put("kind", kind);
  put("isActive", elements.isActive.checked);
  for (const { name, type } of FIELDS) {
    const text = elements[name]?.value.trim();
    if (text === undefined || (type === "number" && !text)) continue;
    put(name, text === "" ? null : type === "number" ? Number(text) : text);
  }
  if (elements.answers && elements.answers.value !== (one.answers ?? "direct")) body.answers = elements.answers.value;
  for (const { name } of SECRETS) if (elements[name]?.value) body[name] = elements[name].value;
  if (elements.noSecret?.checked) body.secret = null;
  if (elements.keepsPrevious?.checked && body.secret) body.previousSecretHours = 24;
  else if (elements.noPrevious?.checked) body.previousSecretHours = 0;
  return body;
}
