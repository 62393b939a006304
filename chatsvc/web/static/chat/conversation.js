// The open conversation. Whoever reads the end stays at the end; whoever reads further up stays there.
import { go } from "./address.js";
import { FirstVisit } from "./firstvisit.js";
import { DownIcon } from "./icons.js";
import { html, useEffect, useLayoutEffect, useRef, useSignal } from "./lib.js";
import { Message } from "./message.js";
import { earlier, refresh, talk } from "./talk.js";

const NEAR = 60;

export function Conversation() {
  const here = talk.value;
  if (!here) return html`<div class="log"><${FirstVisit} /></div>`;
  const state = here.state.value;
  if (state === "missing") return html`<${Words} words="This chat is not here. It may have been deleted." act=${() => go({ chat: null })} action="New chat" />`;
  if (state === "failed") return html`<${Words} words=${`Couldn't load this chat. ${here.problem.value.message}.`} act=${() => refresh(here)} action="Try again" />`;
  return html`<${Log} key=${here.id} here=${here} />`;
}

function Words({ words, act, action }) {
  return html`<div class="log">
    <div class="empty" role="alert">
      <p>${words}</p>
      <button type="button" onClick=${act}>${action}</button>
    </div>
  </div>`;
}

function Log({ here }) {
  const box = useRef(null);
  const inner = useRef(null);
  const top = useRef(null);
  const stuck = useRef(true);
  const away = useSignal(false);
  const rows = here.rows.value;
  const toEnd = () => {
    box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    toEnd();
    const grown = new ResizeObserver(() => stuck.current && toEnd());
    grown.observe(inner.current);
    grown.observe(box.current);
    return () => grown.disconnect();
  }, []);
  useKeptPlace(box, rows, stuck, toEnd);
  useEffect(() => {
    const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && earlier(here).catch(() => {}), {
      root: box.current,
      rootMargin: "600px 0px 0px 0px",
    });
    watcher.observe(top.current);
    return () => watcher.disconnect();
  }, [rows.length, here.older.value]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    stuck.current = scrollHeight - scrollTop - clientHeight < NEAR;
    away.value = !stuck.current;
  };
  const running = here.running.value;
  return html`
    <div class="log" ref=${box} role="log" aria-live="off" aria-label="Messages" aria-busy=${running ? "true" : "false"} tabindex="0" onScroll=${scrolled}>
      <div class="column" ref=${inner}>
        <div ref=${top}>
          ${here.older.value && html`<button type="button" class="plain wide" onClick=${() => earlier(here)}>Show earlier messages</button>`}
        </div>
        ${here.state.value === "loading" && html`<div class="skeleton messages" role="img" aria-label="Loading">${[1, 2, 3].map((n) => html`<i key=${n}></i>`)}</div>`}
        ${here.state.value === "ready" && !rows.length && html`<p class="empty">Nothing here yet. Write the first message.</p>`}
        ${rows.map((one, at) => html`<${Message} key=${one.key} here=${here} one=${one} next=${rows[at + 1]} last=${at === rows.length - 1} />`)}
      </div>
    </div>
    ${away.value &&
    html`<button
      type="button"
      class="latest icon-button"
      aria-label="Jump to latest"
      onClick=${() => {
        stuck.current = true;
        toEnd();
      }}
    >
      <${DownIcon} />
    </button>`}
  `;
}

// Earlier messages that are put above push nothing that is being read; what the person sends brings them to the end.
function useKeptPlace(box, rows, stuck, toEnd) {
  const before = useRef({ first: null, last: null });
  const first = rows[0]?.key ?? null;
  const last = rows.at(-1)?.key ?? null;
  // While this runs, the page still shows what was there before.
  const read = before.current.first && before.current.first !== first ? firstInView(box.current) : null;
  useLayoutEffect(() => {
    const sent = rows.findLast((one) => one.now.peek().role === "user");
    if (read?.element.isConnected && !stuck.current) box.current.scrollTop += read.element.getBoundingClientRect().top - read.top;
    if (sent?.now.peek().sending && last !== before.current.last) {
      stuck.current = true;
      toEnd();
    }
    before.current = { first, last };
  }, [rows]);
}

function firstInView(box) {
  const edge = box.getBoundingClientRect().top;
  for (const element of box.querySelectorAll(".message")) {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > edge) return { element, top };
  }
  return null;
}
