// When things were, in the reader's words: "14:30", "Yesterday", "3 Nov".
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "short" });
const GROUPS = [
  [0, "Today"],
  [1, "Yesterday"],
  [7, "Last 7 days"],
  [30, "Last 30 days"],
];

// Calendar days, not spans of 24 hours: what was at 23:50 is yesterday at 0:10.
function daysAgo(moment, now = new Date()) {
  const midnight = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(now) - midnight(new Date(moment))) / 86400000);
}

export function shortly(moment, now = new Date()) {
  const then = new Date(moment);
  const days = daysAgo(moment, now);
  if (days <= 0) return CLOCK.format(then);
  if (days === 1) return "Yesterday";
  return (then.getFullYear() === now.getFullYear() ? DAY : YEAR).format(then);
}

export function wholly(moment) {
  return WHOLE.format(new Date(moment));
}

export function groupOf(moment, now = new Date()) {
  const days = daysAgo(moment, now);
  return GROUPS.find(([longest]) => days <= longest)?.[1] ?? "Older";
}
