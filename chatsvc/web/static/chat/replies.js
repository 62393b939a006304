// Sending, and following the reply while it is written: through reloads, lost networks and restarts of the service.
import { answer, post, Problem } from "./api.js";
import { go, place } from "./address.js";
import { dropUnsent, keepUnsent } from "./drafts.js";
import { facts } from "./facts.js";
import { uuid } from "./ids.js";
import { batch } from "./lib.js";
import { notice, say } from "./notices.js";
import { answering, findPersonas, handOver, know, personaOf, settled } from "./personas.js";
import { events } from "./stream.js";
import { add, change, changed, drop, newTalk, refresh, remember, row, seen, talk } from "./talk.js";
import { tell } from "./tabs.js";

const STREAM = "/api/v1/chat/stream";
const TRIES = 3;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const lengthOf = (text) => [...text].length;

// The talk that a first message begins: its id is made here, so that a second try finds the first one's chat.
function begun() {
  const here = remember(newTalk(uuid(), "ready"));
  handOver(here);
  talk.value = here;
  go({ chat: here.id, deleted: false }, { quietly: true });
  return here;
}

export function send(text) {
  const here = talk.peek() ?? begun();
  const key = uuid();
  const wish = here.wish.peek();
  keepUnsent({ key, chat: here.id, text, wish });
  const question = row({ key, role: "user", content: text, status: "complete", created_at: new Date().toISOString(), sending: true, wish });
  add(here, question);
  deliver(here, question, { message: text, session_id: here.id, ...named(wish) });
}

// The same message with the same key and to the same persona: the service takes it once, however often it comes.
// One that was refused for its persona was not taken: whoever is chosen now answers it.
export function sendAgain(here, question) {
  const { content, unsent } = question.now.peek();
  const wish = unsent.anew ? here.wish.peek() : question.now.peek().wish;
  if (unsent.anew) keepUnsent({ key: question.key, chat: here.id, text: content, wish });
  change(question, { unsent: null, sending: true, wish });
  deliver(here, question, { message: content, session_id: here.id, ...named(wish) });
}

function named(wish) {
  return wish ? { persona_id: wish.id } : {};
}

export function takeBack(here, question) {
  dropUnsent(question.key);
  drop(here, question);
}

// Another reply to the same message; the earlier one is gone.
export function answerAgain(here, reply) {
  const { id } = reply.now.peek();
  here.replaced.add(id);
  drop(here, reply);
  deliver(here, null, { retry: id, session_id: here.id, ...named(here.wish.peek()) }, reply);
}

async function deliver(here, question, body, instead = null) {
  const key = question?.key ?? uuid();
  const reply = row({ role: "assistant", content: "", status: "streaming", waiting: true }, `reply-${key}`);
  reply.sent = 0;
  reply.persona = body.persona_id;
  reply.abort = new AbortController();
  batch(() => {
    add(here, reply);
    here.running.value = reply;
  });
  say("Generating");
  for (let tries = 1; ; tries += 1) {
    try {
      const response = await answer("POST", STREAM, { body, key: facts.keepsMessages ? key : undefined, abort: reply.abort.signal });
      await followReply(here, reply, { question, response });
      return;
    } catch (problem) {
      if (reply.abort.signal.aborted) {
        ended(here, reply, { ...reply.now.peek(), message_type: "assistant", status: "cancelled" });
        return;
      }
      if (!(problem instanceof Problem)) throw problem;
      if (tries < TRIES && (problem.status === 0 || problem.status >= 500) && facts.keepsMessages && navigator.onLine) {
        await pause(500 * 2 ** tries);
        continue;
      }
      undelivered(here, { question, reply, instead }, problem);
      return;
    }
  }
}

function undelivered(here, { question, reply, instead }, problem) {
  const anew = forPersona(problem);
  const words = anew ? refusedWords(answering(here)) : wordsOf(problem);
  batch(() => {
    drop(here, reply);
    here.running.value = null;
    if (problem.status === 429) here.until.value = Date.now() + 1000 * Math.max(1, problem.retryAfter);
    if (question) change(question, { sending: false, unsent: { key: question.key, words, anew, requestId: problem.requestId } });
    else {
      here.replaced.delete(instead.now.peek().id);
      add(here, instead);
    }
  });
  if (question) say(words);
  else notice(anew ? words : `Couldn't ask again. ${problem.message}.`);
  if (anew) findPersonas().then(() => know(answering(here)));
  if (problem.status === 409 && problem.body.reply_id) refresh(here);
}

// Whether it was refused for who was to answer: switched off, or gone, since the choice was made.
function forPersona({ status, message }) {
  return (status === 404 || status === 409) && /persona/i.test(message);
}

function refusedWords(id) {
  const name = (id && personaOf(id)?.name) || "This persona";
  return `“${name}” is switched off and answers no more. Choose above who answers, then try again.`;
}

function wordsOf(problem) {
  if (problem.status === 0) return navigator.onLine ? "Couldn't reach the service. Your message is kept here." : "You're offline. Your message is kept here.";
  if (problem.status === 429) return "Too many messages at once. Yours is kept here.";
  if (problem.status === 409 && problem.body.reply_id) return "Another reply is being written. Your message is kept here.";
  if (problem.status === 404) return "This chat is no longer there.";
  return problem.message.endsWith(".") ? problem.message : `${problem.message}.`;
}

// Follows a reply to its end. A stream that is cut off is taken up again where it stopped.
export async function followReply(here, reply, { question = null, response = null } = {}) {
  const growing = grows(reply);
  here.running.value = reply;
  if (!response) reply.sent = lengthOf(reply.now.peek().content);
  for (let tries = 0; ; tries += 1) {
    try {
      const { id } = reply.now.peek();
      response ??= await answer("GET", `${STREAM}/${id}`, { lastEvent: reply.sent });
      for await (const event of events(response)) {
        tries = 0;
        if (heard(here, { question, reply, growing }, event)) return;
      }
    } catch (problem) {
      if (problem instanceof Problem && problem.status === 404) {
        ended(here, reply);
        refresh(here);
        return;
      }
    }
    response = null;
    // Where no messages are kept there is nothing to come back to.
    if (!reply.now.peek().id) throw new Problem(0, "Couldn't reach the service");
    await pause(Math.min(5000, 250 * 2 ** tries));
  }
}

// One event; true when it was the last.
function heard(here, { question, reply, growing }, { name, id, data }) {
  if (name === "session") {
    settled(here, reply.persona);
    arrived(here, question, data);
    change(reply, { id: data.reply_id, waiting: true });
    if (reply.stopWished) stop(here);
    return false;
  }
  if (name === "delta") {
    reply.sent = id;
    growing.more(data.content);
    return false;
  }
  growing.finish();
  ended(here, reply, data.assistant_message, data.detail);
  return true;
}

function arrived(here, question, { session_id, user_message, reply_id }) {
  const same = [question && user_message.id, reply_id].filter(Boolean);
  here.begun = true;
  if (question) {
    dropUnsent(question.key);
    change(question, { ...seen(user_message), sending: false, unsent: null });
  }
  // Another tab's word of it, or a look of our own, may have been quicker than this.
  here.rows.value = here.rows.peek().filter((one) => one === question || one === here.running.peek() || !same.includes(one.now.peek().id));
  // Where the chat was open in this tab, its address is there already.
  if (talk.peek() === here && place.peek().chat !== session_id) go({ chat: session_id }, { quietly: true });
  changed(here);
}

function ended(here, reply, message = null, detail = "") {
  batch(() => {
    here.running.value = null;
    if (message) change(reply, { ...seen(message), waiting: false, detail });
    else change(reply, { status: "failed", waiting: false, detail });
  });
  say({ cancelled: "Stopped", failed: "The reply failed" }[reply.now.peek().status] ?? "Reply ready");
  changed(here);
  // A model may give a new chat a better title a moment later.
  if (here.rows.peek().length <= 2) setTimeout(() => changed(here), 4000);
}

// Text is shown at most once per frame; in a hidden tab there are no frames.
function grows(reply) {
  let waiting = "";
  let planned = false;
  const show = () => {
    planned = false;
    if (!waiting) return;
    const { content } = reply.now.peek();
    change(reply, { content: content + waiting, waiting: false });
    waiting = "";
  };
  return {
    more(text) {
      waiting += text;
      if (planned) return;
      planned = true;
      if (document.hidden) setTimeout(show, 100);
      else requestAnimationFrame(show);
    },
    finish: show,
  };
}

export async function stop(here) {
  const reply = here.running.peek();
  if (!reply) return;
  const { id } = reply.now.peek();
  reply.stopWished = true;
  if (!facts.keepsMessages) reply.abort.abort();
  if (!id) return;
  try {
    await post(`${STREAM}/${id}/cancel`);
  } catch (problem) {
    // It has ended meanwhile, or the service is away: the stream tells which.
    if (!(problem instanceof Problem)) throw problem;
  }
  tell("talk", here.id);
}
