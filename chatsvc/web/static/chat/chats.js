// The chats of the sidebar: listed, searched, made, renamed, deleted, brought back.
import { get, getList, post, put, remove as removeAt } from "./api.js";
import { facts } from "./facts.js";
import { signal } from "./lib.js";
import { hear, tell } from "./tabs.js";
import { place } from "./address.js";

const LIST = "/api/v1/chat-sessions";
const CHATS = "/chat/sessions";

// {rows, next, state: "loading" | "ready" | "failed", search, deleted}
export const shelf = signal({ rows: [], next: null, state: "loading", search: "", deleted: false });
export const titleOf = (chat) => chat?.title ?? "New chat";
let asked = 0;

const fromBin = (one) => ({ id: one._id, title: one.title, updated_at: one.updated_at, last_message: null });

async function part({ search, deleted }, next) {
  if (deleted) {
    const found = await getList(next ?? `${CHATS}?${new URLSearchParams({ deleted: "true", limit: "50", ...(search && { search }) })}`);
    return { rows: found.rows.map(fromBin), next: found.next };
  }
  const query = new URLSearchParams({ page_size: facts.chatsAtOnce, ...(search && { search }), ...(next && { cursor: next }) });
  const found = await get(`${LIST}?${query}`);
  return { rows: found.sessions, next: found.next_cursor };
}

// The list as the address asks for it, from its beginning. What is shown stays until the answer is there.
export async function list() {
  const { search, deleted } = place.peek();
  asked += 1;
  const mine = asked;
  const before = shelf.peek();
  const same = before.search === search && before.deleted === deleted;
  shelf.value = { ...before, search, deleted, state: "loading", rows: deleted === before.deleted ? before.rows : [] };
  try {
    const found = await part({ search, deleted }, null);
    if (mine === asked) shelf.value = { search, deleted, ...(same ? goingOn(found, shelf.peek()) : found), state: "ready" };
  } catch (problem) {
    if (mine === asked) shelf.value = { ...shelf.peek(), state: "failed", problem };
  }
}

// The beginning anew, and what one had scrolled to behind it.
function goingOn(found, before) {
  const known = new Set(found.rows.map((one) => one.id));
  const last = found.rows.at(-1);
  const isBehind = (one) => one.updated_at < last.updated_at || (one.updated_at === last.updated_at && one.id < last.id);
  const behind = found.next ? before.rows.filter((one) => !known.has(one.id) && isBehind(one)) : [];
  return behind.length ? { rows: [...found.rows, ...behind], next: before.next } : found;
}

export async function more() {
  const before = shelf.peek();
  if (!before.next || before.state !== "ready") return;
  const mine = asked;
  shelf.value = { ...before, state: "loading more" };
  try {
    const found = await part(before, before.next);
    const known = new Set(before.rows.map((one) => one.id));
    if (mine === asked) shelf.value = { ...before, rows: [...shelf.peek().rows, ...found.rows.filter((one) => !known.has(one.id))], next: found.next };
  } catch {
    if (mine === asked) shelf.value = { ...before, state: "ready" };
  }
}

// A chat as it is now, in its place in the list: it goes to the top when something has happened in it.
export function setIn(chat) {
  const { rows, search, deleted } = shelf.peek();
  if (deleted || (search && !rows.some((one) => one.id === chat.id))) return;
  const others = rows.filter((one) => one.id !== chat.id);
  const at = others.findIndex((one) => one.updated_at < chat.updated_at);
  shelf.value = { ...shelf.peek(), rows: at < 0 ? [...others, chat] : [...others.slice(0, at), chat, ...others.slice(at)] };
}

function takeOut(id) {
  shelf.value = { ...shelf.peek(), rows: shelf.peek().rows.filter((one) => one.id !== id) };
}

export async function lookAgain(id) {
  const chat = await get(`${LIST}/${id}?include_messages=false`);
  setIn(chat);
  return chat;
}

export async function make(title, key) {
  const made = await post(CHATS, title ? { title } : {}, { key });
  tell("chats", made._id);
  return lookAgain(made._id);
}

export async function rename(id, title) {
  await put(`${CHATS}/${id}`, { title });
  tell("chats", id);
  return lookAgain(id);
}

export async function remove(id) {
  await removeAt(`${CHATS}/${id}`);
  takeOut(id);
  tell("chats", id);
}

export async function restore(id) {
  await post(`${CHATS}/${id}/restore`);
  tell("chats", id);
  if (shelf.peek().deleted) takeOut(id);
  else await lookAgain(id);
}

hear("chats", () => list());
