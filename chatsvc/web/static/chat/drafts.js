// What was typed and chosen and not sent yet, kept per person and chat; and what was sent and has not arrived.
import { me } from "./account.js";
import { keep, kept } from "./keep.js";

const nameOf = (chat) => `draft.${me.peek().id}.${chat ?? "new"}`;
const outbox = () => `outbox.${me.peek().id}`;

export function draftOf(chat) {
  return kept(nameOf(chat), "");
}

export function keepDraft(chat, text) {
  keep(nameOf(chat), text);
}

// Who is to answer the next message of a chat: {id}, null where nothing was chosen.
export function wishIn(chat) {
  return kept(`${nameOf(chat)}.persona`);
}

export function keepWish(chat, wish) {
  keep(`${nameOf(chat)}.persona`, wish);
}

export function unsentIn(chat) {
  return kept(outbox(), []).filter((one) => one.chat === chat);
}

export function keepUnsent(entry) {
  keep(outbox(), [...kept(outbox(), []).filter((one) => one.key !== entry.key), entry]);
}

export function dropUnsent(key) {
  const left = kept(outbox(), []).filter((one) => one.key !== key);
  keep(outbox(), left.length ? left : null);
}
