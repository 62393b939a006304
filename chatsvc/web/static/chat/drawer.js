// Whether the sidebar is shown: beside the chat where there is room, as a drawer over it where there is not.
import { keep, kept } from "./keep.js";
import { signal } from "./lib.js";

const narrow = matchMedia("(max-width: 767px)");

export const isNarrow = signal(narrow.matches);
export const drawerOpen = signal(false);
export const folded = signal(kept("folded", false));

narrow.addEventListener("change", () => {
  isNarrow.value = narrow.matches;
  drawerOpen.value = false;
});

export function toggleSidebar() {
  if (isNarrow.peek()) {
    drawerOpen.value = !drawerOpen.peek();
    if (drawerOpen.peek()) setTimeout(() => document.querySelector("#sidebar button")?.focus());
    return;
  }
  folded.value = !folded.peek();
  keep("folded", folded.peek());
}

export function closeDrawer() {
  drawerOpen.value = false;
}
