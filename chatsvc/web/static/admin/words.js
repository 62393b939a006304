// Numbers and days as people read them.
const WHOLE = new Intl.NumberFormat("en-GB");
const TENTH = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat("en-GB", { style: "percent", maximumFractionDigits: 1 });
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const LONG = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "long", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
export const NONE = "–";

const unlessNone = (words) => (value) => (value === null || value === undefined ? NONE : words(value));

export const amount = unlessNone((value) => WHOLE.format(value));
export const percent = unlessNone((value) => PERCENT.format(value));
export const span = unlessNone((value) => (value > 0 && value < 1000 ? `${Math.round(value)} ms` : `${TENTH.format(value / 1000)} s`));
export const shortDay = (day) => SHORT.format(new Date(day));
export const longDay = (day) => LONG.format(new Date(day));
export const moment = (time) => MOMENT.format(new Date(time));
export const total = (counts) => Object.values(counts).reduce((sum, value) => sum + value, 0);
