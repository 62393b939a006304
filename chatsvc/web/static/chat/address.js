// Where one is, kept in the address: the open chat, what is searched for, whether the bin is shown.
import { signal } from "./lib.js";
import { isId } from "./ids.js";

const START = "/chat-ui";

export const place = signal(read());

function read() {
  const { pathname, search } = location;
  const asked = new URLSearchParams(search);
  const chat = pathname.slice(START.length + 1);
  return { chat: isId(chat) ? chat.toLowerCase() : null, search: asked.get("search") ?? "", deleted: asked.get("deleted")?.toLowerCase() === "true" };
}

export function addressOf(to) {
  const { chat, search, deleted } = { ...place.peek(), ...to };
  const asked = new URLSearchParams();
  if (search) asked.set("search", search);
  if (deleted) asked.set("deleted", "true");
  return START + (chat ? `/${chat}` : "") + (asked.size ? `?${asked}` : "");
}

// `quietly` changes the address without a step back: a new chat gets its own this way, and each letter of a search.
export function go(to, { quietly = false } = {}) {
  const address = addressOf(to);
  if (address === location.pathname + location.search) return;
  history[quietly ? "replaceState" : "pushState"](null, "", address);
  place.value = read();
}

// For links: a plain click goes there without a new page, every other click is the browser's.
export function follow(event, to) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(to);
}

addEventListener("popstate", () => {
  place.value = read();
});
