// Days as columns, one part upon the other. Each part has a texture of its own, so that none needs its colour to be told.
import { html } from "../chat/lib.js";

const GAP = 1;
const TEXTURES = [null, "M0 6L6 0M-1 1L1 -1M5 7L7 5", "M0 3H6", "M3 0V6", "M0 0L6 6M0 6L6 0", "M1 1H3V3H1Z"];

export const fillOf = (id, at) => `url(#${id}-${at})`;

export function Textures({ id, amount }) {
  return html`<defs>
    ${TEXTURES.slice(0, amount).map(
      (texture, at) => html`
        <pattern key=${at} id=${`${id}-${at}`} width="6" height="6" patternUnits="userSpaceOnUse">
          <rect class=${`part-${at}`} width="6" height="6" />
          ${texture && html`<path class="texture" d=${texture} />`}
        </pattern>
      `,
    )}
  </defs>`;
}

export function Bars({ id, days, parts, valueOf, x, y, step }) {
  const wide = Math.max(1.5, Math.min(40, step * 0.72));
  return days.map((day, at) => {
    let below = 0;
    return parts.map((part, n) => {
      const value = valueOf(day, part.key) ?? 0;
      if (!value) return null;
      const [bottom, top] = [y(below), y(below + value)];
      below += value;
      return html`<rect key=${`${day.day}-${part.key}`} fill=${fillOf(id, n)} x=${x(at) - wide / 2} y=${top} width=${wide} height=${Math.max(1, bottom - top - GAP)} />`;
    });
  });
}
