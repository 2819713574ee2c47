// What every node has of a message at one moment; knows nothing of the page.

const NOTHING = { rank: 0, redundant: 0, deliveredUs: null };

/** When the last thing happened, in microseconds since the first. */
export function lengthUs(message) {
  const last = message.steps.at(-1);
  return last ? last[0] : 0;
}

/**
 * What each node has `us` microseconds after the beginning: a map from its number to
 * `{rank, redundant, deliveredUs}`. At the end it is what the cluster counted, steps that were left
 * out included.
 */
export function at(message, us) {
  if (us >= lengthUs(message)) {
    return new Map(message.nodes.map(({ node, rank, redundant, delivered_us }) => [
      node, { rank, redundant, deliveredUs: delivered_us },
    ]));
  }
  const nodes = new Map();
  for (const [when, node, , kind] of message.steps) {
    if (when > us) break;
    const has = nodes.get(node) ?? { ...NOTHING };
    if (kind === "i") has.rank = Math.min(has.rank + 1, message.fragments);
    if (kind === "r") has.redundant += 1;
    if (kind === "d") has.deliveredUs = when;
    nodes.set(node, has);
  }
  return nodes;
}

/** What one node has, nothing included. */
export function of(nodes, node) {
  return nodes.get(node) ?? NOTHING;
}

/**
 * What is on its way at `us`, if everything took `flightUs` to come:
 * `{from, to, part, useful}`, `part` being how far it is, 0 to 1.
 */
export function underway(message, us, flightUs) {
  const dots = [];
  for (const [when, to, from, kind] of message.steps) {
    if (when - flightUs > us) break;
    if (when <= us || from === 0 || from === to) continue;
    // A delivery is what the shards before it made; without shards it is what comes.
    if (kind === "d" && message.fragments > 0) continue;
    if (kind !== "p") dots.push({ from, to, part: 1 - (when - us) / flightUs, useful: kind !== "r" });
  }
  return dots;
}
