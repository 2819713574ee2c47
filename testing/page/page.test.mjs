// The live page of a devnet in a real browser: what it shows while messages flow. Pictures of it go
// to target/page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import readline from "node:readline";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const ROOT = new URL("../..", import.meta.url).pathname;
const SHOTS = `${ROOT}target/page`;
const LIMIT_MS = 30_000;

let browser;
/** Those that still run: a test that fails leaves its own behind. */
const children = new Set();

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // CI's user is root, which the sandbox refuses; the page is our own.
    args: ["--no-sandbox"],
  });
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await browser?.close();
});

/** A devnet on free ports; `end` stops it and tells its exit code. */
async function devnet(...flags) {
  const program = `${process.env.CARGO_TARGET_DIR ?? `${ROOT}target`}/debug/devnet`;
  const child = spawn(program, ["--json", "--base-port", "0", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.add(child);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.once("exit", () => children.delete(child));
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const told = JSON.parse(line);
    if (told?.event === "ready") {
      const end = () => {
        child.kill("SIGINT");
        return ended;
      };
      return { url: told.page, end };
    }
  }
  throw new Error(`${program} ended with ${await ended} before it was ready`);
}

/** A page, and what it must not do: errors on the console, and requests to another host. */
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) wrong.push(request.url());
  });
  await page.goto(url);
  await page.locator('#link[data-state="live"]').waitFor();
  return { page, wrong, close: () => context.close() };
}

const node = (page, number) => page.locator(`[data-node="${number}"]`);

/** Waits until the picture shows that all of `count` nodes have the message. */
async function allHaveIt(page, count) {
  await page.waitForFunction(
    (count) => document.querySelectorAll('[data-node][data-delivered="true"]').length === count,
    count,
  );
}

/** Relative luminance by WCAG 2, of a colour as computed styles write it. */
function luminance(colour) {
  const [r, g, b] = colour.match(/\d+(\.\d+)?/g).slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test("the first message is drawn: ranks grow to the number of fragments, bytes are useful or wasted", async () => {
  const { url, end } = await devnet();
  const { page, wrong, close } = await open(url);
  assert.equal(await page.locator("[data-node]").count(), 4);
  assert.equal(await page.locator(".edge").count(), 6, "four nodes, all in each other's mesh");
  // 1 MiB is 64 fragments. It is played by itself, slower than it was: a rank in the middle is seen on the way.
  const ranks = new Set();
  const done = allHaveIt(page, 4).then(() => true);
  while (!(await Promise.race([done, page.waitForTimeout(50)]))) {
    ranks.add(Number(await node(page, 3).getAttribute("data-rank")));
    if (ranks.size === 3) await page.screenshot({ path: `${SHOTS}/light-on-the-way.png` });
  }
  assert.ok([...ranks].some((rank) => rank > 0 && rank < 64), `ranks seen: ${[...ranks]}`);
  for (const number of [1, 3, 4]) {
    assert.equal(await node(page, number).getAttribute("data-rank"), "64");
  }
  assert.match(await page.locator("#stage-title").innerText(), /1\.0 MiB on “devnet” from node 2/);
  assert.match(await page.locator("#wasted-here").innerText(), /\d.* [KM]iB \(\d+ %\)|0 B \(0 %\)/);
  assert.match(await page.locator('[data-row="1"]').innerText(), /64 \/ 64/);
  // The slider is time: at its beginning nobody but the publisher has anything.
  await page.locator("#seek").focus();
  await page.keyboard.press("Home");
  assert.equal(await node(page, 3).getAttribute("data-rank"), "0");
  assert.equal(await node(page, 2).getAttribute("data-delivered"), "true");
  await page.keyboard.press("End");
  assert.equal(await node(page, 3).getAttribute("data-rank"), "64");
  await page.screenshot({ path: `${SHOTS}/light.png`, fullPage: true });
  assert.deepEqual(wrong, []);
  await close();
  assert.equal(await end(), 0);
});

test("a message is published by keyboard alone, and what is refused is said", async () => {
  const { url, end } = await devnet();
  const { page, wrong, close } = await open(url, { reducedMotion: "reduce" });
  await allHaveIt(page, 4);
  // From the node in the picture to the form: Enter chooses where to publish.
  await node(page, 3).focus();
  const outline = await node(page, 3).locator(".halo").evaluate((halo) => getComputedStyle(halo).stroke);
  assert.notEqual(outline, "rgba(0, 0, 0, 0)", "the focus is seen");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#node").inputValue(), "3");
  assert.equal(await page.evaluate(() => document.activeElement.id), "topic");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("by-keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Hello from the keys");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText(/^Published 19 B as [0-9a-f]{8}\.$/).waitFor();
  await page.locator('#messages button[data-reached="4"]', { hasText: "by-keyboard" }).waitFor();
  await page.waitForFunction(() => document.getElementById("stage-title").textContent === "19 B on “by-keyboard” from node 3");
  await allHaveIt(page, 4);
  // The same text is the same message.
  await page.keyboard.press("Enter");
  await page.locator("#told[data-failed]").waitFor();
  assert.match(await page.locator("#told").innerText(), /an equal message was published/);
  // A refusal is an answer with a status, which the browser writes to the console too.
  assert.deepEqual(wrong.filter((text) => !text.includes("409")), []);
  await close();
  assert.equal(await end(), 0);
});

test("it can be read in the dark, in the light and on a narrow screen", async () => {
  const { url, end } = await devnet();
  for (const colorScheme of ["light", "dark"]) {
    const { page, wrong, close } = await open(url, { colorScheme, reducedMotion: "reduce" });
    await allHaveIt(page, 4);
    const pairs = await page.evaluate(() => {
      const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
      };
      const texts = "h1, h2, #summary, .facts, label, button, th, td, #legend li, footer p, #messages span";
      return [...document.querySelectorAll(texts)]
        .filter((element) => element.checkVisibility() && element.innerText)
        .map((element) => [element.innerText, getComputedStyle(element).color, behind(element)]);
    });
    assert.ok(pairs.length > 30);
    for (const [text, colour, ground] of pairs) {
      const ratio = contrast(colour, ground);
      assert.ok(ratio >= 4.5, `${colorScheme}: “${text}” has a contrast of ${ratio.toFixed(2)}`);
    }
    await page.screenshot({ path: `${SHOTS}/${colorScheme}.png`, fullPage: true });
    await page.setViewportSize({ width: 400, height: 900 });
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(widths[0] <= widths[1], `the page is ${widths[0]} wide on a screen of ${widths[1]}`);
    await page.screenshot({ path: `${SHOTS}/${colorScheme}-narrow.png`, fullPage: true });
    assert.deepEqual(wrong, []);
    await close();
  }
  assert.equal(await end(), 0);
});

test("sixteen nodes in mode gossipsub are drawn with deliveries and without ranks", async () => {
  const { url, end } = await devnet("--nodes", "16", "--mode", "gossipsub", "--proxies", "0");
  const { page, wrong, close } = await open(url, { reducedMotion: "reduce" });
  await allHaveIt(page, 16);
  assert.equal(await page.locator("[data-node]").count(), 16);
  assert.equal(await node(page, 5).getAttribute("data-fragments"), "0");
  assert.match(await page.locator("#summary").innerText(), /mode gossipsub · 16 nodes/);
  assert.match(await page.locator("#faces").innerText(), / · node 8: \S+ and \S+ · and 8 more nodes; /);
  await page.screenshot({ path: `${SHOTS}/gossipsub.png`, fullPage: true });
  assert.deepEqual(wrong, []);
  await close();
  assert.equal(await end(), 0);
});

test("a page of others can neither read nor publish, and a devnet that ends is said to be gone", async () => {
  const { url, end } = await devnet("--nodes", "2", "--proxies", "0");
  const { page, close } = await open(url);
  const json = { "Content-Type": "application/json" };
  const body = JSON.stringify({ node: 1, topic: "t", text: "x" });
  const post = (headers, content) => fetch(`${url}/publish`, { method: "POST", headers, body: content });
  assert.equal((await post({ ...json, Origin: "http://evil.example" }, body)).status, 403);
  assert.equal((await post({ "Content-Type": "text/plain" }, body)).status, 415);
  assert.equal((await post(json, "{")).status, 400);
  assert.equal((await post(json, `{"node":9,"topic":"t","text":"x"}`)).status, 400);
  assert.equal((await post(json, JSON.stringify({ node: 1, topic: "t", text: "x".repeat(500_000) }))).status, 413);
  assert.equal((await post(json, body)).status, 200);
  assert.match((await fetch(url)).headers.get("content-security-policy"), /default-src 'self'/);
  assert.equal(await end(), 0);
  await page.locator('#link[data-state="lost"]').waitFor();
  await close();
});
