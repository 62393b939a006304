// Before the first paint: the colours that were chosen here last time. A plain script, so that nothing is painted before it.
(() => {
  let chosen = "system";
  try {
    chosen = localStorage.getItem("chatsvc.theme") ?? "system";
  } catch {
    // A browser that keeps nothing shows the system's colours.
  }
  document.documentElement.dataset.theme = ["light", "dark"].includes(chosen) ? chosen : "system";
})();
