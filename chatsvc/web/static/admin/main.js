// The page for admins: put together here, and told what the address says.
import { findOut, me, signOut } from "../chat/account.js";
import { effect, html, render, signal } from "../chat/lib.js";
import { notice, Notices, say } from "../chat/notices.js";
import { SignIn, SignInAgain } from "../chat/signin.js";
import { ThemeChoice } from "../chat/themes.js";
import { shortly } from "../chat/times.js";
import { Figures } from "./figures.js";
import { Events, Users } from "./people.js";
import { PersonaForm } from "./personaform.js";
import { Personas } from "./personas.js";
import { go, PERIODS, place } from "./place.js";
import { Plots } from "./plots.js";
import { personas, refreshAll, statistics } from "./sources.js";
import { Trouble } from "./table.js";

const failed = signal(null);
const isAdmin = () => me.value?.role === "ADMIN";

function Page() {
  if (failed.value) return html`<main class="signin"><h1>Couldn't reach the service</h1><button type="button" class="main" onClick=${start}>Try again</button></main>`;
  if (me.value === undefined) return html`<div class="skeleton" role="img" aria-label="Loading"></div>`;
  if (me.value === null) return html`<${SignIn} /><${Notices} />`;
  if (!isAdmin()) return html`<${Refusal} /><${Notices} />`;
  return html`
    <div class="admin">
      <${Head} />
      <main>
        <${Choices} />
        <${Trouble} source=${statistics} what="figures" />
        <${Figures} />
        <${Plots} />
        <${Personas} />
        <${Users} />
        <${Events} />
      </main>
    </div>
    <${PersonaForm} />
    <${Notices} />
    <${SignInAgain} />
  `;
}

function Refusal() {
  return html`<main class="signin">
    <h1>For admins only</h1>
    <p>You are signed in as ${me.value.username ?? "somebody"}, who is not an admin here. An admin can see how the service is doing; you can go on with your chats.</p>
    <a class="button main" href="/chat-ui">Back to your chats</a>
    <button type="button" onClick=${leave}>Logout</button>
  </main>`;
}

function Head() {
  const { data, busy } = statistics.now.value;
  return html`<header class="admin-head">
    <h1>How it is going</h1>
    <p class="admin-when" role="status">${data ? `As of ${shortly(data.at)}` : ""}</p>
    <button type="button" disabled=${busy} onClick=${again}>Refresh</button>
    <a class="button" href="/chat-ui">Chats</a>
    <${ThemeChoice} />
    <div class="person">
      <span class="person-name" title=${me.value.username}>${me.value.username}</span>
      <button type="button" onClick=${leave}>Logout</button>
    </div>
  </header>`;
}

function Choices() {
  const { days, persona } = place.value;
  const all = personas.now.value.data?.rows ?? [];
  const known = !persona || all.some((one) => one.personaId === persona);
  return html`<div class="admin-choices">
    <fieldset class="themes periods">
      <legend class="unseen">Period</legend>
      ${PERIODS.map(
        (one) => html`<label key=${one}>
          <input type="radio" name="days" value=${one} checked=${days === one} onChange=${() => go({ days: one })} /><span>${one} days</span>
        </label>`,
      )}
    </fieldset>
    <label class="of">
      <span>Figures of</span>
      <select value=${persona ?? ""} onChange=${(event) => go({ persona: event.currentTarget.value || null })}>
        <option value="">Everybody and everything</option>
        ${!known && html`<option value=${persona}>A persona that is not here</option>`}
        ${all.map((one) => html`<option key=${one.personaId} value=${one.personaId}>${one.name}</option>`)}
      </select>
    </label>
  </div>`;
}

function again() {
  refreshAll();
  say("Refreshing");
}

async function leave() {
  try {
    await signOut();
  } catch (problem) {
    notice(`Couldn't sign out. ${problem.message}`);
  }
}

async function start() {
  failed.value = null;
  try {
    await findOut();
  } catch (problem) {
    failed.value = problem;
  }
}

// What the address says is what is shown.
let who = null;
effect(() => {
  place.value;
  if (!isAdmin()) return;
  if (who === me.value.id) statistics.refresh();
  else refreshAll();
  who = me.value.id;
});

effect(() => {
  document.title = `${me.value === null ? "Sign in" : "Admin"} · chatsvc`;
});

render(html`<${Page} />`, document.getElementById("page"));
start();
