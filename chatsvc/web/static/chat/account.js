// Who is signed in.
import { answer, csrf, get, post, Problem, whenSignedOut } from "./api.js";
import { forget } from "./keep.js";
import { signal } from "./lib.js";
import { hear, tell } from "./tabs.js";

// undefined: not known yet; null: nobody; else {id, username, role}.
export const me = signal(undefined);
// True while the sign-in of `me` has run out and the chat waits behind the form.
export const expired = signal(false);

let waiting = [];

whenSignedOut(() => {
  if (!me.value) {
    me.value = null;
    return Promise.reject(new Problem(401, "Not signed in"));
  }
  expired.value = true;
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
});

export async function findOut() {
  if (!csrf()) {
    me.value = null;
    return;
  }
  try {
    me.value = await get("/auths/me");
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    me.value = null;
  }
}

export async function signIn(username, password) {
  await answer("POST", "/auths/login", { body: { username, password }, headers: { "X-Session": "cookie" }, open: true });
  await entered(await get("/auths/me"));
  tell("signed-in");
}

export async function register(username, password) {
  await answer("POST", "/auths/register", { body: { username, password }, open: true });
  await signIn(username, password);
}

async function entered(person) {
  const before = me.value;
  if (before && before.id !== person.id) {
    location.reload();
    return;
  }
  me.value = person;
  expired.value = false;
  for (const { resolve } of waiting.splice(0)) resolve();
}

export async function signOut() {
  const { id } = me.value;
  try {
    await post("/auths/logout", undefined, { leaving: true });
  } catch (problem) {
    if (problem.status !== 401) throw problem; // who is signed out already may leave
  }
  forget(`draft.${id}.`);
  forget(`outbox.${id}`);
  tell("signed-out");
  location.assign("/chat-ui");
}

hear("signed-out", () => location.reload());
hear("signed-in", async () => {
  if (expired.value) await entered(await get("/auths/me"));
  else if (me.value === null) location.reload();
});
