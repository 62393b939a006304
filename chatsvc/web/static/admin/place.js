// What is looked at, kept in the address: how many days, and of which persona.
import { isId } from "../chat/ids.js";
import { signal } from "../chat/lib.js";

const START = "/chat-ui/admin";
export const PERIODS = [7, 30, 90];
const USUAL = 30;

export const place = signal(read());

function read() {
  const asked = new URLSearchParams(location.search);
  const days = Number(asked.get("days"));
  const persona = asked.get("persona") ?? "";
  return { days: PERIODS.includes(days) ? days : USUAL, persona: isId(persona) ? persona.toLowerCase() : null };
}

export function go(to) {
  const { days, persona } = { ...place.peek(), ...to };
  const asked = new URLSearchParams({ ...(days !== USUAL && { days }), ...(persona && { persona }) });
  const address = START + (asked.size ? `?${asked}` : "");
  if (address === location.pathname + location.search) return;
  history.pushState(null, "", address);
  place.value = read();
}

addEventListener("popstate", () => {
  place.value = read();
});
