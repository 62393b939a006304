// What this browser keeps between visits. One that keeps nothing (private windows, full disks) still works.
const START = "chatsvc.";

export function kept(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(START + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(name, value) {
  try {
    if (value === null || value === "") localStorage.removeItem(START + name);
    else localStorage.setItem(START + name, JSON.stringify(value));
  } catch {
    // Nothing can be kept; what is on the screen stays there.
  }
}

export function forget(beginning) {
  try {
    for (const name of Object.keys(localStorage)) if (name.startsWith(START + beginning)) localStorage.removeItem(name);
  } catch {
    // Nothing was kept.
  }
}
