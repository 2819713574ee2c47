// The page: takes what the cluster tells, and shows one message at one moment.

import { Messages, faces, problems, table } from "./lists.js";
import { Mesh } from "./mesh.js";
import { at, lengthUs, underway } from "./spread.js";
import { bytes, counted, duration } from "./text.js";

const MESSAGES_MAX = 12;
// A message is shown over this time, however fast it was.
const PLAY_MS = 5000;
// How long a shard flies in the picture, as a share of the whole.
const FLIGHT = 0.12;

const get = (id) => document.getElementById(id);
const [play, seek, clock, told] = ["play", "seek", "clock", "told"].map(get);
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

let hello = { mode: "", nodes: [], proxies: [], topic: "" };
let state = { messages: 0, nodes: [], problems: [] };
/** The newest last. */
let messages = [];
let currentId = null;
/** A reader's own choice stays until it is played, or a message is published here. */
let isFollowing = true;
/** Share of the message's time that is shown, 0 to 1. */
let shownPart = 1;
let playedSince = null;

const mesh = new Mesh((node) => {
  get("node").value = node;
  get("topic").focus();
});
const list = new Messages((id) => {
  isFollowing = false;
  choose(id);
});

const current = () => messages.find((message) => message.id === currentId) ?? null;

function choose(id) {
  currentId = id;
  start();
}

/** Plays the current message from its beginning, or shows its end where motion is not wanted. */
function start() {
  shownPart = isCalm.matches ? 1 : 0;
  playedSince = isCalm.matches ? null : performance.now();
  draw();
  if (playedSince !== null) requestAnimationFrame(tick);
}

function tick(now) {
  if (playedSince === null) return;
  shownPart = Math.min((now - playedSince) / PLAY_MS, 1);
  if (shownPart === 1) playedSince = null;
  drawMoment();
  if (playedSince !== null) requestAnimationFrame(tick);
}

function drawMoment() {
  const message = current();
  const us = message ? shownPart * lengthUs(message) : 0;
  const has = message ? at(message, us) : new Map();
  const peers = new Map(state.nodes.map((node) => [node.node, node.peers]));
  mesh.show(message, has, peers);
  mesh.fly(message && playedSince !== null ? underway(message, us, FLIGHT * lengthUs(message)) : []);
  table(state, message, has);
  seek.value = Math.round(shownPart * 1000);
  seek.setAttribute("aria-valuetext", duration(us));
  clock.textContent = duration(us);
  play.textContent = playedSince === null ? "Play" : "Pause";
  play.disabled = !message;
  seek.disabled = !message;
}

function draw() {
  const message = current();
  const nodes = state.nodes.length;
  const topic = message?.topic || hello.topic;
  mesh.connect(new Map(state.nodes.map((node) => [node.node, node.mesh[topic] ?? []])));
  list.show(messages, currentId, nodes);
  problems(state.problems);
  get("summary").textContent = `mode ${hello.mode} · ${counted(nodes, "node")} · ${counted(state.messages, "message")} since the start`;
  if (message) {
    const size = message.bytes === null ? "" : `${bytes(message.bytes)} `;
    const from = message.publisher === null ? "" : ` from node ${message.publisher}`;
    get("stage-title").textContent = `${size}on “${message.topic}”${from}`;
    get("stage-facts").textContent = facts(message, nodes);
  } else {
    get("stage-title").textContent = "No message yet";
    get("stage-facts").textContent = "";
  }
  drawMoment();
}

function facts(message, nodes) {
  const shards = message.fragments > 0 ? `${counted(message.fragments, "fragment")} · ` : "";
  const left = message.steps_left_out > 0 ? ` · ${message.steps_left_out} steps not drawn` : "";
  return `${shards}at ${message.reached} of ${nodes} nodes after ${duration(message.spread_us)}${left}`;
}

function take(message) {
  const known = messages.findIndex((other) => other.id === message.id);
  const isNew = known < 0;
  if (isNew) messages.push(message);
  else messages[known] = message;
  messages = messages.slice(-MESSAGES_MAX);
  // One that has begun is played once more of it is there than its first step.
  if (isNew && isFollowing && playedSince === null) choose(message.id);
  else draw();
}

function greet(told) {
  hello = told;
  [messages, currentId, isFollowing, playedSince] = [[], null, true, null];
  const numbers = hello.nodes.map((node) => node.node);
  mesh.place(numbers);
  const chosen = get("node").value;
  get("node").replaceChildren(...numbers.map((number) => new Option(number, number)));
  if (numbers.includes(Number(chosen))) get("node").value = chosen;
  get("topic").value ||= hello.topic;
  get("bytes").max = hello.message_bytes_max;
  faces(hello);
}

function link(name) {
  get("link").dataset.state = name;
  get("link").textContent = { live: "live", lost: "not connected; trying again" }[name];
}

const events = new EventSource("/events");
events.addEventListener("open", () => link("live"));
events.addEventListener("error", () => link("lost"));
events.addEventListener("hello", (event) => greet(JSON.parse(event.data)));
events.addEventListener("message", (event) => {
  // The name is also that of events without one, which have no data here.
  if (event.data) take(JSON.parse(event.data));
});
events.addEventListener("state", (event) => {
  state = JSON.parse(event.data);
  draw();
});

play.addEventListener("click", () => {
  if (playedSince !== null) {
    playedSince = null;
    drawMoment();
    return;
  }
  isFollowing = true;
  const part = shownPart < 1 ? shownPart : 0;
  playedSince = performance.now() - part * PLAY_MS;
  requestAnimationFrame(tick);
});
seek.addEventListener("input", () => {
  playedSince = null;
  shownPart = seek.value / 1000;
  drawMoment();
});

const form = get("publish");
form.addEventListener("change", () => {
  const isText = form.elements.what.value === "text";
  get("text-label").hidden = !isText;
  get("bytes-label").hidden = isText;
  get("text").required = isText;
  get("bytes").disabled = isText;
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const isText = form.elements.what.value === "text";
  const what = isText ? { text: get("text").value } : { random_bytes: Number(get("bytes").value) };
  const body = { node: Number(get("node").value), topic: get("topic").value, ...what };
  say("Publishing…", false);
  isFollowing = true;
  playedSince = null;
  try {
    const answer = await fetch("/publish", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await answer.json();
    if (answer.ok) say(`Published ${bytes(result.message_bytes)} as ${result.message_id.slice(0, 8)}.`, false);
    else say(result.error, true);
  } catch {
    say("The cluster does not answer. Is it still running?", true);
  }
});

function say(text, isFailure) {
  told.textContent = text;
  told.toggleAttribute("data-failed", isFailure);
}
