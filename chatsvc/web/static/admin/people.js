// The accounts, and who did what lately.
import { isId } from "../chat/ids.js";
import { html } from "../chat/lib.js";
import { wholly } from "../chat/times.js";
import { events, personaNamed, userNamed, users } from "./sources.js";
import { Table } from "./table.js";
import { moment } from "./words.js";

const ACTIONS = {
  "persona.created": "Made a persona",
  "persona.updated": "Changed a persona",
  "persona.deleted": "Deleted a persona",
  "session.cancelled": "Cancelled a session",
  "session.erased": "Erased a session",
  "cleanup.timeout": "Ended what nobody answered",
  "circuit.opened": "Breaker opened",
  "circuit.closed": "Breaker closed",
  "webhook.failed": "A persona failed",
  "login.succeeded": "Signed in",
  "login.failed": "Failed to sign in",
  "user.promoted": "Made an admin",
  "user.disabled": "Shut an account",
  "user.password_changed": "Changed a password",
  "user.enabled": "Opened an account",
};

export function Users() {
  const columns = [
    { name: "Username", cell: (one) => one.username },
    { name: "Role", cell: (one) => (one.role === "ADMIN" ? "Admin" : "User") },
    { name: "Account", cell: (one) => (one.is_disabled ? "Shut" : "Open") },
    { name: "Since", cell: (one) => html`<${Time} of=${one.created_at} />` },
  ];
  return html`<${Table} source=${users} name="Users" columns=${columns} keyOf=${(one) => one.id} nothing="There are no accounts here. People come with tokens of another issuer." />`;
}

export function Events() {
  const columns = [
    { name: "When", cell: (one) => html`<${Time} of=${one.createdAt} />` },
    { name: "What", cell: (one) => html`<span title=${one.action}>${ACTIONS[one.action] ?? one.action}</span>` },
    { name: "Who", loose: "loose-cell", cell: (one) => (one.actorId === null ? "–" : html`<${Name} id=${one.actorId} />`) },
    { name: "Of", loose: "loose-cell", cell: (one) => (one.subject === null ? "–" : html`<${Name} id=${one.subject} />`) },
    { name: "Details", loose: "wide-cell", cell: (one) => inWords(one.details) },
  ];
  return html`<${Table} source=${events} name="Recent events" columns=${columns} keyOf=${(one) => one.eventId} nothing="Nothing has happened yet." />`;
}

function Time({ of }) {
  return html`<time datetime=${of} title=${wholly(of)}>${moment(of)}</time>`;
}

// By name where it is known here; an id by its beginning, whole on hover.
function Name({ id }) {
  const name = userNamed(id) ?? personaNamed(id);
  if (name !== null || !isId(id)) return html`<span title=${id}>${name ?? id}</span>`;
  return html`<code title=${id}>${id.slice(0, 8)}…</code>`;
}

function inWords(details) {
  return Object.entries(details)
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value)}`)
    .join("; ");
}
