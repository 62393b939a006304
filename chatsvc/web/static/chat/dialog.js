// A real dialog: the browser keeps the focus in it and gives it back.
import { html, useLayoutEffect, useRef } from "./lib.js";

export function Dialog({ title, onClose, children, closable = true }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector("[data-first]:not([data-first=false])")?.focus();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (closable) onClose();
  };
  const outside = (event) => {
    if (closable && event.target === box.current) onClose();
  };
  return html`
    <dialog ref=${box} aria-label=${title} onCancel=${cancel} onMouseDown=${outside}>
      <div class="dialog">
        <h2>${title}</h2>
        ${children}
      </div>
    </dialog>
  `;
}
