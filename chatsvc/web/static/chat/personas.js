// Which personas there are, and which one answers in a chat. Where the service offers none the page says nothing of them.
import { get, Problem } from "./api.js";
import { keepWish, wishIn } from "./drafts.js";
import { facts } from "./facts.js";
import { signal } from "./lib.js";

// Those that may be chosen, by name.
export const personas = signal([]);
// By id, those that may not be chosen (any more) and still stand in an open chat.
const others = signal(new Map());
// Who answers the chat that is about to be begun; null: the service's own responder.
const forNew = signal(null);

export async function findPersonas() {
  if (!facts.personas) return;
  try {
    const found = [];
    for (let next = ""; next !== null; ) {
      const { data } = await get(`/api/personas?${new URLSearchParams({ isActive: "true", limit: "100", ...(next && { cursor: next }) })}`);
      found.push(...data.personas);
      next = data.pagination.nextCursor;
    }
    personas.value = found;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    personas.value = [];
  }
}

export function personaOf(id) {
  return personas.value.find((one) => one.personaId === id) ?? others.value.get(id) ?? null;
}

// One that is not among those that may be chosen is asked for by itself: its name is said, and that it is switched off.
export async function know(id) {
  if (!id || !facts.personas || personas.peek().some((one) => one.personaId === id)) return;
  try {
    const { data } = await get(`/api/personas/${id}`);
    others.value = new Map(others.peek()).set(id, data);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 404) others.value = new Map(others.peek()).set(id, { personaId: id, name: "A persona that is gone", isActive: false });
  }
}

// The id of who answers in this chat by what the service has; undefined where that cannot be said.
export async function answersIn(chat) {
  if (!facts.personas) return null;
  try {
    const { data } = await get(`/api/chat-sessions/${chat}`);
    await know(data.personaId);
    return data.personaId;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return undefined;
  }
}

// Who answers the next message: what was wished last, or else what the chat has.
export function answering(here) {
  if (!here) return forNew.value;
  return here.wish.value ? here.wish.value.id : here.persona.value;
}

export function choose(here, id) {
  if (!here) forNew.value = id;
  else here.wish.value = id === here.persona.peek() ? null : { id };
  keepWish(here?.id ?? null, here ? here.wish.peek() : id && { id });
}

// A chat is about to be begun: with whom one meant to begin it last.
export function beginAnew() {
  forNew.value = wishIn(null)?.id ?? null;
  know(forNew.peek());
}

// It is begun: who was chosen answers in it, and the next one begins as always.
export function handOver(here) {
  const id = forNew.peek();
  here.persona.value = null;
  if (id) choose(here, id);
  choose(null, null);
}

// The service has taken a message, and with it who answers from now on.
export function settled(here, id) {
  if (id === undefined) return;
  here.persona.value = id;
  if (here.wish.peek()?.id === id) choose(here, id);
}
