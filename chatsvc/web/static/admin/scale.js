// Where things stand in a plot: steps that people count in, and which days are named.
export function steps(highest, { whole = false, about = 4 } = {}) {
  if (!(highest > 0)) return [0, 1];
  const rough = highest / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(whole ? 1 : 0, power * [1, 2, 5, 10].find((one) => one * power >= rough));
  const amount = Math.max(1, Math.ceil(highest / step - 1e-9));
  return Array.from({ length: amount + 1 }, (_, at) => at * step);
}

// From the last one backwards, so that today is always named.
export function named(amount, room, apart = 64) {
  const every = Math.max(1, Math.ceil(apart / (room / amount)));
  return Array.from({ length: amount }, (_, at) => at).filter((at) => (amount - 1 - at) % every === 0);
}
