// Numbers as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1536 → "1.5 KiB". */
export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${UNITS[unit]}`;
}

/** Microseconds → "12.3 ms" or "1.20 s". */
export function duration(micros) {
  if (micros >= 1e6) return `${(micros / 1e6).toFixed(2)} s`;
  return `${(micros / 1e3).toFixed(micros < 1e5 ? 1 : 0)} ms`;
}

/** The share of `part` in `whole`: "12 %". */
export function share(part, whole) {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–";
}

/** 1 → "1 node", 2 → "2 nodes". */
export function counted(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
