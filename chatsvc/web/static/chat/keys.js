// The keyboard: what each key does, and the list that `?` shows.
const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);
const CTRL = APPLE ? "⌘" : "Ctrl";

export const KEYS = [
  ["Enter", "Send"],
  ["Shift Enter", "New line"],
  ["Esc", "Stop the reply; close what is open"],
  ["Shift Esc", "Go to the message field"],
  [`${CTRL} K`, "Search chats"],
  [`${CTRL} Shift O`, "New chat"],
  [`${CTRL} Shift S`, "Show or hide the sidebar"],
  [`${CTRL} Shift Y`, "Copy the last reply"],
  ["?", "This list"],
];

// `acts` has a function for each name; one that returns false leaves the key to the browser.
export function listen(acts) {
  addEventListener("keydown", (event) => {
    const name = nameOf(event);
    if (name && acts[name]?.(event) !== false) event.preventDefault();
  });
}

function nameOf(event) {
  if (event.defaultPrevented || event.isComposing) return null;
  const command = (APPLE ? event.metaKey : event.ctrlKey) && !event.altKey;
  const key = event.key.toLowerCase();
  if (command && !event.shiftKey && key === "k") return "search";
  if (command && event.shiftKey) return { o: "newChat", s: "sidebar", y: "copyLast" }[key] ?? null;
  if (key === "escape") return event.shiftKey ? "focus" : "stop";
  const typing = event.target.closest?.("input, textarea, select, dialog");
  return key === "?" && !typing && !command ? "help" : null;
}
