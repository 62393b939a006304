// What the page asks of the service, each part by itself. What was there stays until its successor has come.
import { get, getList, Problem } from "../chat/api.js";
import { signal } from "../chat/lib.js";
import { place } from "./place.js";

const DAY = 86400000;
const AT_ONCE = 20;

// {now: signal({data, problem, busy}), refresh(), more()}; `load` is given where to go on, null at the beginning.
function source(load, join = null) {
  const now = signal({ data: null, problem: null, busy: true });
  let asked = 0;
  const ask = async (next, joined) => {
    asked += 1;
    const mine = asked;
    now.value = { ...now.peek(), busy: true };
    try {
      const found = await load(next);
      if (mine === asked) now.value = { data: joined(found), problem: null, busy: false };
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (mine === asked) now.value = { ...now.peek(), problem, busy: false };
    }
  };
  return {
    now,
    refresh: () => ask(null, (found) => found),
    more: () => ask(now.peek().data.next, (found) => join(now.peek().data, found)),
  };
}

const joined = (before, found) => ({ ...found, rows: [...before.rows, ...found.rows.filter((one) => !before.rows.some((other) => idOf(other) === idOf(one)))] });
const idOf = (one) => one.eventId ?? one.personaId ?? one.id;

// Days are those of the service: UTC.
const dayOf = (moment) => new Date(moment).toISOString().slice(0, 10);

export const statistics = source(async () => {
  const { days, persona } = place.peek();
  const now = Date.now();
  const asked = new URLSearchParams({ scope: "global", groupBy: "day", from: dayOf(now - (days - 1) * DAY), to: dayOf(now), ...(persona && { personaId: persona }) });
  const { data } = await get(`/api/chat-sessions/stats?${asked}`);
  return { ...data, at: now };
});

// All of them: they are the choice above as well as a table.
export const personas = source(async () => {
  const rows = [];
  for (let next = ""; next !== null; ) {
    const { data } = await get(`/api/personas?${new URLSearchParams({ limit: "100", ...(next && { cursor: next }) })}`);
    rows.push(...data.personas);
    next = data.pagination.nextCursor;
  }
  return { rows, next: null };
});

export const users = source(async (next) => getList(next ?? `/auths/users?limit=${AT_ONCE}`), joined);

export const events = source(async (next) => {
  const { data } = await get(`/api/audit-events?${new URLSearchParams({ limit: AT_ONCE, ...(next && { cursor: next }) })}`);
  return { rows: data.events, next: data.pagination.nextCursor };
}, joined);

export function refreshAll() {
  for (const one of [statistics, personas, users, events]) one.refresh();
}

export function personaNamed(id) {
  return personas.now.value.data?.rows.find((one) => one.personaId === id)?.name ?? null;
}

export function userNamed(id) {
  return users.now.value.data?.rows.find((one) => one.id === id)?.username ?? null;
}
