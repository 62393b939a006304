// A plot over days: drawn, told day by day on hover and by the arrow keys, and as a table.
import { html, useLayoutEffect, useRef, useSignal } from "../chat/lib.js";
import { Bars, fillOf, Textures } from "./bars.js";
import { Lines, Sample } from "./lines.js";
import { named, steps } from "./scale.js";
import { longDay, shortDay } from "./words.js";

const HEIGHT = 200;
const TOP = 10;
const BOTTOM = 24;
const RIGHT = 22;

// `parts` are [{key, name}]; `valueOf(day, key)` a number or null; `sumOf(key)` what is said of all days.
export function Plot({ id, title, note, days, parts, valueOf, sumOf, words, lines = false, ceiling = null, whole = false, nothing }) {
  const at = useSignal(null);
  const shown = at.value === null || at.value >= days.length ? null : at.value;
  const empty = !days.some((day) => parts.some((part) => (lines ? valueOf(day, part.key) !== null : valueOf(day, part.key))));
  const tell = (day) => parts.map((part) => `${part.name} ${words(valueOf(day, part.key))}`).join(", ");
  return html`
    <section class="plot" aria-labelledby=${`${id}-title`}>
      <div class="plot-head">
        <h2 id=${`${id}-title`}>${title}</h2>
        <p class="plot-when">${shown === null ? note : longDay(days[shown].day)}</p>
      </div>
      <ul class="legend">
        ${parts.map(
          (part, n) => html`<li key=${part.key}>
            ${lines ? html`<${Sample} shape=${n} />` : html`<${Swatch} id=${id} at=${n} />`}
            <span>${part.name}</span> <b>${words(shown === null ? sumOf(part.key) : valueOf(days[shown], part.key))}</b>
          </li>`,
        )}
      </ul>
      ${empty
        ? html`<div class="plot-nothing"><p>${nothing}</p></div>`
        : html`<${Drawing} ...${{ id, title, days, parts, valueOf, words, lines, ceiling, whole, at, shown, tell }} />`}
      <${AsTable} ...${{ title, days, parts, valueOf, words }} />
    </section>
  `;
}

function Drawing({ id, title, days, parts, valueOf, words, lines, ceiling, whole, at, shown, tell }) {
  const box = useRef(null);
  const width = useSignal(0);
  useLayoutEffect(() => {
    const look = () => (width.value = box.current.clientWidth);
    look();
    const watcher = new ResizeObserver(look);
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  const high = lines ? (day) => Math.max(0, ...parts.map((part) => valueOf(day, part.key) ?? 0)) : (day) => parts.reduce((sum, part) => sum + (valueOf(day, part.key) ?? 0), 0);
  const marks = ceiling ? steps(ceiling) : steps(Math.max(...days.map(high)), { whole });
  const left = 12 + 7 * Math.max(...marks.map((mark) => words(mark).length));
  const step = Math.max(0, width.value - left - RIGHT) / days.length;
  const x = (day) => left + step * (day + 0.5);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / marks.at(-1));
  const pointed = (event) => {
    const place = (event.clientX - box.current.getBoundingClientRect().left - left) / step;
    at.value = Math.max(0, Math.min(days.length - 1, Math.floor(place)));
  };
  const now = shown ?? days.length - 1;
  const Shape = lines ? Lines : Bars;
  return html`
    <div
      class="drawing"
      ref=${box}
      role="slider"
      tabindex="0"
      aria-label=${`${title}, day by day`}
      aria-valuemin="1"
      aria-valuemax=${days.length}
      aria-valuenow=${now + 1}
      aria-valuetext=${`${longDay(days[now].day)}: ${tell(days[now])}`}
      onKeyDown=${(event) => moved(event, at, days.length)}
      onFocus=${() => (at.value ??= days.length - 1)}
      onBlur=${() => (at.value = null)}
      onPointerMove=${pointed}
      onPointerDown=${pointed}
      onPointerLeave=${() => document.activeElement !== box.current && (at.value = null)}
    >
      ${width.value > 0 &&
      html`<svg width=${width.value} height=${HEIGHT} viewBox=${`0 0 ${width.value} ${HEIGHT}`} aria-hidden="true">
        ${!lines && html`<${Textures} id=${id} amount=${parts.length} />`}
        ${marks.map(
          (mark) => html`<g key=${mark} class="mark">
            <line x1=${left} x2=${width.value - RIGHT + 8} y1=${y(mark)} y2=${y(mark)} />
            <text x=${left - 8} y=${y(mark) + 4} text-anchor="end">${words(mark)}</text>
          </g>`,
        )}
        ${shown !== null && html`<rect class="pointed" x=${x(shown) - Math.max(step, 3) / 2} y=${TOP} width=${Math.max(step, 3)} height=${HEIGHT - TOP - BOTTOM} />`}
        <${Shape} ...${{ id, days, parts, valueOf, x, y, step }} />
        ${named(days.length, step * days.length).map((day) => html`<text key=${days[day].day} class="day" x=${x(day)} y=${HEIGHT - 6} text-anchor="middle">${shortDay(days[day].day)}</text>`)}
      </svg>`}
    </div>
  `;
}

function moved(event, at, amount) {
  const now = at.peek() ?? amount - 1;
  const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageDown: now - 7, PageUp: now + 7, Home: 0, End: amount - 1 }[event.key];
  if (to === undefined || event.metaKey || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  at.value = Math.max(0, Math.min(amount - 1, to));
}

function Swatch({ id, at }) {
  const own = `${id}-legend`;
  return html`<svg class="sample" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">
    <${Textures} id=${own} amount=${at + 1} />
    <rect width="14" height="14" rx="3" fill=${fillOf(own, at)} />
  </svg>`;
}

function AsTable({ title, days, parts, valueOf, words }) {
  return html`
    <details class="as-table">
      <summary>As a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${`${title}, as a table`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Day</th>
              ${parts.map((part) => html`<th key=${part.key} scope="col">${part.name}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${days.toReversed().map(
              (day) => html`<tr key=${day.day}>
                <th scope="row">${shortDay(day.day)}</th>
                ${parts.map((part) => html`<td key=${part.key}>${words(valueOf(day, part.key))}</td>`)}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  `;
}
