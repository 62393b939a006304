// What the tabs of this browser tell each other, so that they stay in step.
const channel = "BroadcastChannel" in window ? new BroadcastChannel("chatsvc") : null;
const listeners = new Map();

channel?.addEventListener("message", ({ data }) => {
  for (const listener of listeners.get(data.what) ?? []) listener(data.about);
});

export function tell(what, about = null) {
  channel?.postMessage({ what, about });
}

export function hear(what, listener) {
  listeners.set(what, [...(listeners.get(what) ?? []), listener]);
}
