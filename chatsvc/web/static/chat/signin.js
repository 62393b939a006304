// Signing in: on a page of its own, or over the chat when a sign-in has run out.
import { expired, me, register, signIn } from "./account.js";
import { Dialog } from "./dialog.js";
import { facts } from "./facts.js";
import { html, useEffect, useRef, useSignal } from "./lib.js";

export function SignIn() {
  const isNew = useSignal(false);
  return html`
    <main class="signin">
      <h1>${isNew.value ? "Make an account" : "Sign in"}</h1>
      <${Form} isNew=${isNew.value} key=${isNew.value} />
      ${facts.registration &&
      html`<p>
        ${isNew.value ? "You have an account? " : "New here? "}
        <button type="button" class="link" onClick=${() => (isNew.value = !isNew.value)}>${isNew.value ? "Sign in" : "Make an account"}</button>
      </p>`}
    </main>
  `;
}

export function SignInAgain() {
  if (!expired.value) return null;
  return html`
    <${Dialog} title="Sign in again" closable=${false}>
      <p>Your sign-in has run out. What you wrote is still here.</p>
      <${Form} name=${me.value.username} />
    <//>
  `;
}

function Form({ isNew = false, name = "" }) {
  const first = useRef(null);
  const problem = useSignal("");
  const busy = useSignal(false);
  const until = useSignal(0);
  useEffect(() => first.current?.focus(), []);
  useEffect(() => {
    if (!until.value) return undefined;
    const timer = setTimeout(() => (until.value -= 1), 1000);
    return () => clearTimeout(timer);
  }, [until.value]);
  const submit = async (event) => {
    event.preventDefault();
    if (busy.value || until.value) return;
    const { username, password } = event.currentTarget.elements;
    busy.value = true;
    problem.value = "";
    try {
      await (isNew ? register : signIn)(username.value, password.value);
    } catch (error) {
      problem.value = `${error.message}.`;
      if (error.status === 429) until.value = Math.max(1, error.retryAfter);
    } finally {
      busy.value = false;
    }
  };
  return html`
    <form onSubmit=${submit}>
      <label>
        <span>Username</span>
        <input ref=${name ? null : first} data-first=${!name} name="username" required autocomplete="username" autocapitalize="none" spellcheck=${false} defaultValue=${name} maxlength="255" />
      </label>
      <label>
        <span>Password</span>
        <input ref=${name ? first : null} data-first=${Boolean(name)} name="password" type="password" required autocomplete=${isNew ? "new-password" : "current-password"} />
      </label>
      ${problem.value && html`<p class="problem" role="alert">${problem.value}</p>`}
      <button type="submit" class="main wide" disabled=${busy.value || until.value > 0}>
        ${until.value > 0 ? `Again in ${until.value} s` : isNew ? "Register" : "Login"}
      </button>
    </form>
  `;
}
