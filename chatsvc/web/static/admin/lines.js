// Days as points on a line. A day with nothing to say is a gap; each line has dashes and points of its own.
import { html } from "../chat/lib.js";

const DASHES = [null, "6 4", "2 3"];

export function Lines({ days, parts, valueOf, x, y, step }) {
  const size = step > 12 ? 3.5 : 2;
  return parts.map((part, n) => {
    const points = days.map((day, at) => [valueOf(day, part.key), x(at)]).map(([value, left]) => (value === null ? null : [left, y(value)]));
    return html`<g key=${part.key} class=${`line part-${n}`}>
      <path d=${path(points)} stroke-dasharray=${DASHES[n]} />
      ${points.map((point, at) => point && html`<${Point} key=${at} shape=${n} left=${point[0]} top=${point[1]} size=${size} />`)}
    </g>`;
  });
}

export function Point({ shape, left, top, size }) {
  if (shape === 0) return html`<circle cx=${left} cy=${top} r=${size} />`;
  return html`<rect x=${left - size} y=${top - size} width=${2 * size} height=${2 * size} />`;
}

function path(points) {
  return points.map((point, at) => (point ? `${points[at - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}` : "")).join("");
}

export function Sample({ shape }) {
  return html`<svg class="sample" viewBox="0 0 28 12" width="28" height="12" aria-hidden="true">
    <g class=${`line part-${shape}`}><path d="M0 6H28" stroke-dasharray=${DASHES[shape]} /><${Point} shape=${shape} left=${14} top=${6} size=${3.5} /></g>
  </svg>`;
}
