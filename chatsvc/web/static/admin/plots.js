// How it went, day by day: four plots over the same days.
import { html } from "../chat/lib.js";
import { KINDS } from "./figures.js";
import { Plot } from "./plot.js";
import { statistics } from "./sources.js";
import { amount, percent, span } from "./words.js";

const STATUSES = [
  ["COMPLETED", "Completed"],
  ["ACTIVE", "Active"],
  ["FAILED", "Failed"],
  ["TIMEOUT", "Timed out"],
  ["CANCELLED", "Cancelled"],
].map(asPart);
const RATE = [{ key: "successRate", name: "Success rate" }];
const TIMES = [
  { key: "averageResponseTimeMs", name: "Average" },
  { key: "p95ResponseTimeMs", name: "95 of 100 within" },
];
const FAILURES = Object.entries(KINDS).map(asPart);

function asPart([key, name]) {
  return { key, name };
}

export function Plots() {
  const { data, busy, problem } = statistics.now.value;
  if (!data && problem) return null;
  if (!data) return html`<div class="plots">${[1, 2, 3, 4].map((n) => html`<div key=${n} class="plot skeleton" role="img" aria-label="Loading"><i></i><i></i><i></i></div>`)}</div>`;
  const days = data.series;
  const note = `${days.length} days, by the day they began (UTC)`;
  const sumOf = (group) => (key) => days.reduce((sum, day) => sum + (day[group][key] ?? 0), 0);
  const ofAll = `the latest of ${days.length} days`;
  const latest = (key) => days.findLast((day) => day[key] !== null)?.[key] ?? null;
  return html`
    <div class="plots" aria-busy=${busy ? "true" : "false"}>
      <${Plot} id="sessions" title="Sessions by status" note=${note} nothing="No session has begun in these days." parts=${STATUSES} words=${amount} whole=${true}
        days=${days} valueOf=${(day, key) => day.byStatus[key] ?? 0} sumOf=${sumOf("byStatus")} />
      <${Plot} id="rate" title="Success rate" note=${ofAll} nothing="No exchange of these days has ended." parts=${RATE} words=${percent} lines=${true} ceiling=${1}
        days=${days} valueOf=${(day, key) => day[key]} sumOf=${latest} />
      <${Plot} id="times" title="Response times" note=${ofAll} nothing="No exchange of these days was answered." parts=${TIMES} words=${span} lines=${true}
        days=${days} valueOf=${(day, key) => day[key]} sumOf=${latest} />
      <${Plot} id="failures" title="Failures" note=${note} nothing="Nothing has failed in these days." parts=${FAILURES} words=${amount} whole=${true}
        days=${days} valueOf=${(day, key) => day.failures[key] ?? 0} sumOf=${sumOf("failures")} />
    </div>
  `;
}
