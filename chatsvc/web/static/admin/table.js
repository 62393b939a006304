// A table of one source: its rows, and in words when there are none, when they are on their way, and when they did not come.
import { html } from "../chat/lib.js";

// `columns` are [{name, cell(row), loose?}]; the first names the row. On a phone each row is a card, which takes its semantics away: the roles keep them.
export function Table({ source, name, columns, keyOf, nothing, action = null }) {
  const { data, problem, busy } = source.now.value;
  const rows = data?.rows ?? [];
  return html`
    <section class="listed" aria-label=${name} aria-busy=${busy ? "true" : "false"}>
      <div class="listed-head">
        <h2>${name}</h2>
        ${action}
      </div>
      <${Trouble} source=${source} what=${name.toLowerCase()} />
      ${!data && !problem && html`<div class="skeleton" role="img" aria-label="Loading"><i></i><i></i><i></i></div>`}
      ${data && !rows.length && html`<p class="empty">${nothing}</p>`}
      ${rows.length > 0 &&
      html`<div class="scroll" tabindex="0" role="region" aria-label=${`${name}, table`}>
        <table role="table" class="rows">
          <thead role="rowgroup">
            <tr role="row">
              ${columns.map((column) => html`<th key=${column.name} role="columnheader" scope="col">${column.name}</th>`)}
            </tr>
          </thead>
          <tbody role="rowgroup">
            ${rows.map(
              (row) => html`<tr key=${keyOf(row)} role="row">
                ${columns.map(({ name: head, cell, loose = "" }, at) =>
                  at
                    ? html`<td key=${head} role="cell" class=${loose} data-name=${head}><div>${cell(row)}</div></td>`
                    : html`<th key=${head} role="rowheader" scope="row">${cell(row)}</th>`,
                )}
              </tr>`,
            )}
          </tbody>
        </table>
      </div>`}
      ${data?.next && html`<button type="button" class="plain" disabled=${busy} onClick=${source.more}>Show more</button>`}
    </section>
  `;
}

// What did not come, over what was there before.
export function Trouble({ source, what }) {
  const { problem, busy, data } = source.now.value;
  if (!problem) return null;
  return html`<div class="trouble" role="alert">
    <p>${data ? `Couldn't refresh the ${what}; this is how it was before.` : `Couldn't load the ${what}.`} ${problem.message}.</p>
    <button type="button" class="small" disabled=${busy} onClick=${source.refresh}>Try again</button>
  </div>`;
}
