// The figures that one looks at first.
import { html } from "../chat/lib.js";
import { statistics } from "./sources.js";
import { amount, NONE, percent, span, total } from "./words.js";

export function Figures() {
  const { data, problem } = statistics.now.value;
  if (!data && problem) return null;
  const today = data?.series.at(-1);
  const failed = today && total(today.failures);
  return html`
    <dl class="figures">
      <${Figure} name="Active now" value=${data && amount(data.active)} note=${data && `of ${amount(data.total)} sessions`} />
      <${Figure} name="Success rate" value=${data && percent(data.successRate)} note=${data && ofToday(percent(today.successRate), data.successRate)} />
      <${Figure} name="Response time, p95" value=${data && span(data.p95ResponseTimeMs)} note=${data && ofToday(span(today.p95ResponseTimeMs), data.p95ResponseTimeMs)} />
      <${Figure} name="Failures today" value=${data && amount(failed)} note=${data && (failed ? mostOf(today.failures) : "none so far (UTC)")} alarming=${Boolean(failed)} />
    </dl>
  `;
}

function Figure({ name, value, note, alarming = false }) {
  return html`
    <div class=${alarming ? "figure alarming" : "figure"}>
      <dt>${name}</dt>
      <dd class="value">${value ?? html`<i class="blank"></i><span class="unseen">Loading</span>`}</dd>
      <dd class="note">${note ?? ""}</dd>
    </div>
  `;
}

function ofToday(words, ever) {
  if (ever === null) return "no exchange has ended yet";
  return words === NONE ? "of all time; none today" : `of all time; today ${words}`;
}

export const KINDS = {
  timeout: "Too slow",
  unreachable: "Unreachable",
  bad_status: "Refused",
  bad_response: "Unusable answer",
  circuit_open: "Breaker open",
  cleanup: "Never answered",
};

function mostOf(failures) {
  const [kind] = Object.entries(failures).sort(([, one], [, other]) => other - one)[0];
  return `most: ${(KINDS[kind] ?? kind).toLowerCase()}`;
}
