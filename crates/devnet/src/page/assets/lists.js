// What stands in words and numbers beside the picture.

import { bytes, duration, share } from "./text.js";
import { of } from "./spread.js";

function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The list of messages, the newest first; keeps the focus where it is. */
export class Messages {
  constructor(choose) {
    this.choose = choose;
    this.list = document.getElementById("messages");
    this.buttons = new Map();
  }

  show(messages, current, nodes) {
    document.getElementById("no-messages").hidden = messages.length > 0;
    for (const [id, button] of this.buttons) {
      if (messages.every((message) => message.id !== id)) {
        button.parentElement.remove();
        this.buttons.delete(id);
      }
    }
    for (const message of messages.toReversed()) {
      const button = this.buttons.get(message.id) ?? this.#add(message.id);
      const parts = [
        make("b", message.topic || "…"),
        make("span", `${message.reached}/${nodes} nodes`),
        make("span", `${message.id.slice(0, 8)}  ${message.bytes === null ? "" : bytes(message.bytes)}`),
        make("span", message.spread_us > 0 ? duration(message.spread_us) : "…"),
      ];
      button.replaceChildren(...parts);
      button.setAttribute("aria-current", message.id === current);
      button.dataset.reached = message.reached;
    }
  }

  #add(id) {
    const [item, button] = [document.createElement("li"), document.createElement("button")];
    button.type = "button";
    button.dataset.message = id;
    button.addEventListener("click", () => this.choose(id));
    item.append(button);
    this.list.prepend(item);
    this.buttons.set(id, button);
    return button;
  }
}

/** The table of nodes. */
export function table(state, message, has) {
  const sums = { messages: 0, useful: 0, wasted: 0, usefulAll: 0, wastedAll: 0 };
  const rows = state.nodes.map((node) => {
    const told = message?.nodes.find((told) => told.node === node.node);
    const { rank, deliveredUs } = of(has, node.node);
    const [useful, wasted] = [told?.useful_bytes ?? 0, told?.wasted_bytes ?? 0];
    sums.messages += node.delivered;
    sums.useful += useful;
    sums.wasted += wasted;
    sums.usefulAll += node.useful_bytes;
    sums.wastedAll += node.wasted_bytes;
    const row = document.createElement("tr");
    row.dataset.row = node.node;
    row.append(
      make("th", node.node, { scope: "row" }),
      make("td", node.peers),
      make("td", rankText(message, node.node, rank)),
      make("td", deliveredUs === null ? "–" : duration(deliveredUs), { class: "good" }),
      make("td", bytes(useful)),
      make("td", bytes(wasted), { class: "wasted" }),
      make("td", node.delivered),
      make("td", bytes(node.useful_bytes)),
      make("td", bytes(node.wasted_bytes), { class: "wasted" }),
    );
    return row;
  });
  document.getElementById("rows").replaceChildren(...rows);
  const row = document.createElement("tr");
  const wasted = (useful, wasted) => `${bytes(wasted)} (${share(wasted, useful + wasted)})`;
  row.append(
    make("th", "all", { scope: "row" }), make("td", ""), make("td", ""), make("td", ""),
    make("td", bytes(sums.useful)),
    make("td", wasted(sums.useful, sums.wasted), { class: "wasted", id: "wasted-here" }),
    make("td", sums.messages),
    make("td", bytes(sums.usefulAll)),
    make("td", wasted(sums.usefulAll, sums.wastedAll), { class: "wasted" }),
  );
  document.getElementById("totals").replaceChildren(row);
}

function rankText(message, node, rank) {
  if (!message) return "–";
  if (message.publisher === node) return "source";
  return message.fragments > 0 ? `${rank} / ${message.fragments}` : "whole";
}

/** The newest errors. */
export function problems(lines) {
  document.getElementById("problems-section").hidden = lines.length === 0;
  document.getElementById("problems").replaceChildren(...lines.map((line) => make("li", line)));
}

/** Nodes whose addresses are written out: the footer stays a few lines long. */
const NODES_SHOWN = 8;

/** Where everything listens. */
export function faces(hello) {
  const nodes = hello.nodes.map((node) => `node ${node.node}: ${node.sidecar} and http://${node.api}`);
  const proxies = hello.proxies.map((proxy) => `proxy ${proxy.proxy}: http://${proxy.http} and ${proxy.grpc}`);
  const hidden = nodes.length - NODES_SHOWN;
  const more = hidden > 0 ? [`and ${hidden} more nodes; devnet --json prints all addresses`] : [];
  const shown = [...proxies, ...nodes.slice(0, NODES_SHOWN), ...more];
  document.getElementById("faces").textContent = shown.join(" · ");
}
