// The open conversation: its messages, those that are on their way, and how more of them are found.
import { get, Problem, put, remove as removeAt, post } from "./api.js";
import * as chats from "./chats.js";
import { unsentIn, wishIn } from "./drafts.js";
import { facts } from "./facts.js";
import { batch, signal } from "./lib.js";
import { notice } from "./notices.js";
import { answersIn, beginAnew, know } from "./personas.js";
import { followReply } from "./replies.js";
import { hear, tell } from "./tabs.js";

const AT_ONCE = 50;
const PER_FRAME = 5;
const REMEMBERED = 20;
const known = new Map();

// What is shown at the right; null where a chat is about to be begun.
export const talk = signal(null);

export function newTalk(id, state = "loading") {
  return {
    id,
    chat: signal(null), // as the list shows it
    rows: signal([]), // [{key, now: signal(message)}]
    older: signal(null), // where earlier messages are
    state: signal(state), // loading | ready | missing | failed
    problem: signal(null),
    running: signal(null), // the row that is being written
    until: signal(0), // when sending is allowed again
    persona: signal(undefined), // who answers, by what the service has: an id, null for its own responder
    wish: signal(wishIn(id)), // {id} of who is to answer the next message, where that was chosen
    replaced: new Set(), // ids of replies in whose place others are asked for
    begun: false, // whether the chat is known to be there
  };
}

export function row(message, key = message.id ?? message.key) {
  return { key, now: signal(message) };
}

// A message as the page knows it; the chat's own face calls the role `message_type`.
export function seen({ message_type, ...rest }) {
  return { ...rest, role: message_type };
}

export function change(one, changes) {
  one.now.value = { ...one.now.peek(), ...changes };
}

export function add(here, ...rows) {
  here.rows.value = [...here.rows.peek(), ...rows];
}

export function drop(here, one) {
  here.rows.value = here.rows.peek().filter((other) => other !== one);
}

// Shows this chat, at once when it was open before, and then as it is now.
export async function open(id) {
  if (talk.peek()?.id === id) return;
  if (!id) {
    talk.value = null;
    beginAnew();
    return;
  }
  const before = known.get(id);
  talk.value = before ?? remember(newTalk(id));
  await refresh(talk.peek());
}

export function remember(here) {
  known.delete(here.id);
  known.set(here.id, here);
  for (const [id, other] of known) if (known.size > REMEMBERED && !other.running.peek()) known.delete(id);
  return here;
}

export function forgetTalk(id) {
  known.delete(id);
}

export async function refresh(here) {
  const before = here.rows.peek();
  learnPersona(here);
  try {
    const [chat, found] = await Promise.all([get(`/api/v1/chat-sessions/${here.id}?include_messages=false`), newest(here.id)]);
    // What was sent or taken out meanwhile, the answer may not know of yet, or still.
    if (here.rows.peek() !== before) return refresh(here);
    batch(() => {
      here.begun = true;
      here.chat.value = chat;
      merge(here, found);
      here.state.value = "ready";
    });
    chats.setIn(chat);
    takeUp(here);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 404 && (here.running.peek() || (!here.begun && unsentIn(here.id).length))) showUnsent(here);
    else if (problem.status === 404) here.state.value = "missing";
    else if (here.state.peek() !== "ready") [here.state.value, here.problem.value] = ["failed", problem];
  }
}

// By itself, for the messages need not wait for it.
async function learnPersona(here) {
  know(here.wish.peek()?.id);
  const before = here.persona.peek();
  const persona = await answersIn(here.id);
  // A message that was taken meanwhile knows better.
  if (persona !== undefined && here.persona.peek() === before) here.persona.value = persona;
}

function showUnsent(here) {
  merge(here, { messages: [], next_cursor: null });
  here.state.value = "ready";
}

async function newest(id) {
  if (!facts.keepsMessages) return { messages: [], next_cursor: null };
  return get(`/api/v1/chat-sessions/${id}/messages?order=desc&page_size=${AT_ONCE}`);
}

// What the server has, in the rows that are there already; earlier messages and those that were not sent stay.
function merge(here, found) {
  if (!facts.keepsMessages) return;
  // The service may not know yet that another reply is wanted.
  const messages = found.messages.toReversed().map(seen).filter((message) => !here.replaced.has(message.id));
  const before = here.rows.peek();
  const byId = new Map(before.filter((one) => one.now.peek().id).map((one) => [one.now.peek().id, one]));
  const first = messages[0]?.id ?? Infinity;
  const goesOn = found.next_cursor !== null;
  const earlier = goesOn ? before.filter((one) => one.now.peek().id < first) : [];
  const rows = messages.map((message) => {
    const one = byId.get(message.id) ?? row(message);
    if (one !== here.running.peek()) one.now.value = message;
    return one;
  });
  const unsent = before.filter((one) => !one.now.peek().id);
  const resting = unsentIn(here.id).filter((entry) => !unsent.some((one) => one.key === entry.key)).map(restingRow);
  if (!earlier.length || !here.older.peek()) here.older.value = found.next_cursor;
  here.rows.value = [...earlier, ...rows, ...unsent, ...resting];
}

function restingRow({ key, text, wish }) {
  return row({ key, role: "user", content: text, status: "complete", wish, unsent: { key, words: "Not sent yet" } });
}

// A reply that is being written, by whichever tab: this one follows it too.
function takeUp(here) {
  if (here.running.peek()) return;
  const writing = here.rows.peek().findLast((one) => one.now.peek().status === "streaming");
  if (!writing) return;
  followReply(here, writing);
}

let looking = false;

export async function earlier(here) {
  if (!here.older.peek() || looking) return;
  looking = true;
  try {
    const query = new URLSearchParams({ order: "desc", page_size: AT_ONCE, cursor: here.older.peek() });
    const found = await get(`/api/v1/chat-sessions/${here.id}/messages?${query}`);
    // A few per frame, so that whoever is scrolling is not held up.
    for (let at = 0; at < found.messages.length; at += PER_FRAME) {
      const rows = found.messages.slice(at, at + PER_FRAME).toReversed().map((message) => row(seen(message)));
      here.rows.value = [...rows, ...here.rows.peek()];
      await new Promise((resolve) => setTimeout(resolve, 16));
    }
    here.older.value = found.next_cursor;
  } finally {
    looking = false;
  }
}

const pathOf = (here, one) => `/chat/sessions/${here.id}/messages/${one.now.peek().id}`;

export async function edit(here, one, content) {
  const edited = await put(pathOf(here, one), { content });
  change(one, { content: edited.content, edited_at: edited.edited_at });
  changed(here);
}

export async function remove(here, one) {
  await removeAt(pathOf(here, one));
  const at = here.rows.peek().indexOf(one);
  drop(here, one);
  changed(here);
  notice("Message deleted", { action: "Undo", act: () => bringBack(here, one, at) });
}

async function bringBack(here, one, at) {
  try {
    await post(`${pathOf(here, one)}/restore`);
    here.rows.value = here.rows.peek().toSpliced(at, 0, one);
    changed(here);
  } catch (problem) {
    notice(`Couldn't restore the message. ${problem.message}`);
  }
}

// The list and the other tabs learn of it.
export async function changed(here) {
  tell("talk", here.id);
  here.chat.value = await chats.lookAgain(here.id).catch(() => here.chat.peek());
}

hear("chats", (id) => talk.peek()?.id === id && talk.peek().begun && refresh(talk.peek()));
hear("talk", (id) => {
  if (talk.peek()?.id === id) refresh(talk.peek());
  else {
    known.delete(id);
    chats.lookAgain(id).catch(() => {});
  }
});
