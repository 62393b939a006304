// A reply's text: plain until the Markdown library has come, which is loaded when there is something to show with it.
import { html, signal, useLayoutEffect, useRef } from "./lib.js";

const library = signal(null);
let loading = null;

export function loadMarkdown() {
  loading ??= import("./markdown.js").then(
    (module) => {
      library.value = module;
    },
    () => {
      loading = null; // next time
    },
  );
}

export function FormattedText({ content, growing }) {
  const box = useRef(null);
  const painter = library.value;
  useLayoutEffect(() => {
    if (painter) painter.paint(box.current, content, growing);
    else loadMarkdown();
  }, [painter, content, growing]);
  return painter ? html`<div key="formatted" class="formatted" ref=${box}></div>` : html`<div key="plain" class="plain-text">${content}</div>`;
}
