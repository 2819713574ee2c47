// The picture of the mesh.

import { counted, duration } from "./text.js";
import { of } from "./spread.js";

const CENTRE = 320;
const RADIUS = 240;
const DISC_MAX = 60;
// Above this a ring of single shards is a grey blur: one arc instead.
const SEGMENTS_MAX = 64;

function make(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

/** The dashes that show `rank` of `fragments` segments on a circle as long as `fragments`. */
function dashes(rank, fragments) {
  if (rank === 0) return `0 ${fragments}`;
  if (fragments > SEGMENTS_MAX || fragments === 1) return `${rank} ${fragments}`;
  const segments = Array.from({ length: rank }, () => ".9 .1");
  return `${segments.join(" ").slice(0, -2)}${fragments}`;
}

export class Mesh {
  /** `choose(node)` is called when a node is clicked, or chosen by Enter or the space bar. */
  constructor(choose) {
    this.choose = choose;
    this.nodes = new Map();
    this.edges = document.getElementById("edges");
    this.dots = document.getElementById("dots");
    this.layer = document.getElementById("nodes");
    this.drawnEdges = "";
  }

  /** Puts the nodes on a circle. */
  place(numbers) {
    this.layer.replaceChildren();
    this.nodes.clear();
    this.drawnEdges = "";
    const disc = Math.min(DISC_MAX, (Math.PI * RADIUS) / Math.max(numbers.length, 1) / 1.45);
    numbers.forEach((number, at) => {
      const angle = (2 * Math.PI * at) / numbers.length - Math.PI / 2;
      const x = CENTRE + (numbers.length === 1 ? 0 : RADIUS * Math.cos(angle));
      const y = CENTRE + (numbers.length === 1 ? 0 : RADIUS * Math.sin(angle));
      this.nodes.set(number, this.#node(number, x, y, disc));
    });
  }

  #node(number, x, y, disc) {
    const group = make("g", { class: "node", tabindex: 0, role: "button", "data-node": number, transform: `translate(${x} ${y})` }, this.layer);
    make("circle", { class: "halo", r: disc + 12 }, group);
    const face = make("circle", { class: "disc", r: disc }, group);
    const ring = make("g", { transform: "rotate(-90)" }, group);
    const track = make("circle", { class: "track", r: disc + 4 }, ring);
    const rank = make("circle", { class: "rank", r: disc + 4 }, ring);
    const size = Math.max(disc / 2, 9);
    const name = make("text", { class: "number", "font-size": size, y: disc > 24 ? 0 : size / 3 }, group);
    name.textContent = number;
    const note = make("text", { class: "note", "font-size": size / 1.7, y: size * 0.85 }, group);
    if (disc <= 24) note.setAttribute("display", "none");
    group.addEventListener("click", () => this.choose(number));
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.choose(number);
      }
    });
    return { x, y, group, face, ring, track, rank, note };
  }

  /** Draws who is in whose mesh: a map from a node to a list of nodes. */
  connect(mesh) {
    const pairs = new Set();
    for (const [node, others] of mesh) {
      for (const other of others) pairs.add(node < other ? `${node} ${other}` : `${other} ${node}`);
    }
    const wanted = [...pairs].sort().join();
    if (wanted === this.drawnEdges) return;
    this.drawnEdges = wanted;
    this.edges.replaceChildren();
    for (const pair of pairs) {
      const [a, b] = pair.split(" ").map((number) => this.nodes.get(Number(number)));
      if (a && b) make("line", { class: "edge", x1: a.x, y1: a.y, x2: b.x, y2: b.y }, this.edges);
    }
  }

  /** Shows what every node has of `message`. */
  show(message, has, peers) {
    for (const [number, node] of this.nodes) {
      const { rank, redundant, deliveredUs } = of(has, number);
      const isSource = message?.publisher === number;
      const isDone = isSource || deliveredUs !== null;
      const fragments = message?.fragments ?? 0;
      node.face.setAttribute("class", `disc${isDone ? " done" : ""}${isSource ? " source" : ""}`);
      node.ring.setAttribute("class", isDone ? "done-ring" : "");
      const shown = isSource ? fragments : rank;
      const length = Math.max(fragments, 1);
      const track = fragments > 1 && fragments <= SEGMENTS_MAX ? ".9 .1" : "none";
      node.track.setAttribute("pathLength", length);
      node.track.setAttribute("stroke-dasharray", track);
      node.rank.setAttribute("pathLength", length);
      const whole = fragments === 0 ? Number(isDone) : shown;
      node.rank.setAttribute("stroke-dasharray", dashes(whole, length));
      node.note.textContent = isSource ? "source" : note(fragments, rank, isDone);
      node.group.dataset.rank = rank;
      node.group.dataset.fragments = fragments;
      node.group.dataset.redundant = redundant;
      node.group.dataset.delivered = isDone;
      const said = says(message, { rank, redundant, deliveredUs, isSource });
      node.group.setAttribute("aria-label", `Node ${number}, ${counted(peers.get(number) ?? 0, "peer")}: ${said}. Publish here`);
    }
  }

  /** Shows what is on its way. */
  fly(dots) {
    this.dots.replaceChildren();
    for (const { from, to, part, useful } of dots) {
      const [a, b] = [this.nodes.get(from), this.nodes.get(to)];
      if (!a || !b) continue;
      const [x, y] = [a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part];
      if (useful) make("circle", { class: "dot useful", cx: x, cy: y, r: 6 }, this.dots);
      else make("rect", { class: "dot wasted", x: x - 5, y: y - 5, width: 10, height: 10 }, this.dots);
    }
  }
}

function note(fragments, rank, isDone) {
  if (fragments === 0) return isDone ? "✓" : "";
  return isDone ? `✓ ${rank}/${fragments}` : `${rank}/${fragments}`;
}

function says(message, { rank, redundant, deliveredUs, isSource }) {
  if (!message) return "no message yet";
  if (isSource) return "the message was published here";
  const shards = message.fragments > 0 ? `rank ${rank} of ${message.fragments}, ` : "";
  const done = deliveredUs === null ? "not there yet" : `has it after ${duration(deliveredUs)}`;
  return `${shards}${done}, ${redundant} wasted`;
}
