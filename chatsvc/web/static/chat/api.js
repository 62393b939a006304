// Every request of the page. It uses the documented routes and no others; cookies say who is asking.
import { signal } from "./lib.js";

// Whether the service answered last time; null while nothing was asked.
export const reached = signal(true);
// Set by account.js: resolves when the person is signed in again, rejects when somebody else is.
let signedInAgain = () => Promise.reject(new Problem(401, "Not signed in"));

export class Problem extends Error {
  constructor(status, message, { requestId = "", retryAfter = 0, body = {} } = {}) {
    super(message);
    Object.assign(this, { status, requestId, retryAfter, body });
  }
}

export function whenSignedOut(wait) {
  signedInAgain = wait;
}

export function csrf() {
  return /(?:^|; )(?:__Host-)?chatsvc_csrf=([^;]+)/.exec(document.cookie)?.[1] ?? "";
}

export async function get(path, rest) {
  return (await answer("GET", path, rest)).json();
}

export async function post(path, body, rest) {
  const response = await answer("POST", path, { body, ...rest });
  return response.status === 204 ? null : response.json();
}

export async function put(path, body) {
  return (await answer("PUT", path, { body })).json();
}

export async function remove(path) {
  await answer("DELETE", path);
}

// A list that is an array, and the address of its next part.
export async function getList(path) {
  const response = await answer("GET", path);
  return { rows: await response.json(), next: /<([^<>]+)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? null };
}

// The answer when all is well; a Problem otherwise. A sign-in that has run out is renewed, or waited for.
export async function answer(method, path, rest = {}) {
  let response = await asked(method, path, rest);
  if (response.status === 401 && !rest.open) {
    if (!(await renewed())) {
      if (rest.leaving) throw await problemOf(response);
      await signedInAgain();
    }
    response = await asked(method, path, rest);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function asked(method, path, { body, key, lastEvent, abort, headers = {} }) {
  const all = { ...headers };
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (method !== "GET") all["X-CSRF-Token"] = csrf();
  if (key) all["Idempotency-Key"] = key;
  if (lastEvent !== undefined) all["Last-Event-ID"] = String(lastEvent);
  try {
    const response = await fetch(path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: abort,
      cache: "no-store",
      credentials: "same-origin",
    });
    reached.value = true;
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached.value = false;
    throw new Problem(0, "Couldn't reach the service");
  }
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body.detail ?? body.message ?? "Something went wrong", {
    requestId: response.headers.get("X-Request-ID") ?? "",
    retryAfter: Number(response.headers.get("Retry-After") ?? 0),
    body,
  });
}

let renewing = null;

// Trades the refresh cookie for new ones, once for all requests of all tabs: each refresh token is good once.
function renewed() {
  renewing ??= alone(async () => {
    if (!csrf()) return false;
    // Another tab may have done it while this one waited.
    if ((await asked("GET", "/auths/me", {})).ok) return true;
    return (await asked("POST", "/auths/refresh", {})).ok;
  }).finally(() => {
    renewing = null;
  });
  return renewing;
}

// The lock is there on secure origins only; elsewhere two tabs that refresh in the same moment sign out, which is safe.
function alone(work) {
  return navigator.locks ? navigator.locks.request("chatsvc.refresh", work) : work();
}
