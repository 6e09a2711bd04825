// Every view at every width, in both languages and themes and in the system's own colours: empty, full and in an outage.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser, watched } from "./browser.js";
import { crowded } from "./crowded.js";
import { connected } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { shifted, watchShifts } from "./layout.js";
import { look, lookAt, visit } from "./looks.js";

// A machine that draws all looks may be too busy for the database to answer in time; the page asks again.
const expected = new RegExp(`${OUTAGE.source}|status of (412|503)`);
/** The sum of the shifts that a view may make until everything is there. */
const MAX_SHIFT = 0.02;

useBrowser();

/** Each view, with what is to be done there before it is looked at. */
const views = {
  start: { address: "#/order" },
  desk: { address: "#/order?hero=1" },
  allergic: { address: "#/order?hero=4" },
  picker: { address: "#/order?hero=3", prepare: (page) => page.getByRole("combobox").click() },
  cancelling: { address: "#/order?hero=1", prepare: (page) => page.locator('.order[data-status="IN_PROGRESS"] .end').first().click() },
  "new-hero": { address: "#/order?hero=1", prepare: (page) => page.locator(".who > button").click() },
  kitchen: { address: "#/kitchen" },
  detail: { address: "#/kitchen?order=34" },
  "detail-cancelled": { address: "#/kitchen?order=42" },
  heroes: { address: "#/manage" },
  meals: { address: "#/manage?kind=meals" },
  editor: { address: "#/manage?id=4" },
  "meal-editor": { address: "#/manage?kind=meals&id=2" },
  conflict: { address: "#/manage?kind=meals&id=3", prepare: conflict, leave: (page) => page.locator(".conflict button").first().click() },
  deleting: { address: "#/manage?id=2", prepare: (page) => page.locator("form .danger").click() },
  console: { address: "#/console?hero=1", prepare: say },
  "console-form": { address: "#/console?hero=1", prepare: fillIn, leave: (page) => page.locator(".compose > button").click() },
  "console-offers": { address: "#/console?hero=1", prepare: (page) => page.locator("#command").fill("c") },
  operations: { address: "#/operations" },
  shortcuts: { address: "#/console", prepare: (page) => page.locator("main").press("?") },
};

test("full, everything stands where it belongs; and in an outage it still does", async (t) => {
  const atEnd = endings(t);
  const galley = await crowded();
  atEnd(() => galley.stop());
  const pages = await watched(browser, galley.url, { reducedMotion: "reduce", expected });
  atEnd(() => pages.close());
  const wrong = [];
  const page = await pages.context.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto("/#/console");
  await connected(page);
  await lookAt(page, wrong, "full", views, galley);
  await lookAt(page, wrong, "full", { toasts: { address: "#/order?hero=1", prepare: messages } }, galley);

  await visit(page, "#/order?hero=1");
  await page.locator(".order").first().waitFor();
  await galley.kill();
  await page.locator('.connection[data-state="waiting"]').waitFor();
  const order = (page) => page.locator(".meal button").first().click();
  const { start, detail, conflict, deleting, cancelling, "console-form": form, "console-offers": offers, ...others } = views;
  await lookAt(page, wrong, "outage", { waiting: { prepare: order }, ...others });
  // A page would ask while the gateway starts, and complain of a 503.
  await page.close();
  await galley.restart();
  assert.deepEqual(wrong, []);
});

test("empty, everything stands where it belongs", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--drain", "0s");
  atEnd(() => galley.stop());
  const pages = await watched(browser, galley.url, { reducedMotion: "reduce" });
  atEnd(() => pages.close());
  const wrong = [];
  const page = await pages.context.newPage();
  await page.goto("/#/order");
  const { start: first, "new-hero": form, kitchen, heroes, meals, operations, console } = views;
  const entry = { address: "#/manage?kind=meals&id=new" };
  await lookAt(page, wrong, "empty", { start: first, kitchen, heroes, meals, operations, console: { ...console, address: "#/console" }, "new-meal": entry, "new-hero": { ...form, address: "#/order" } });
  await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
  await lookAt(page, wrong, "empty", { desk: views.desk });
  assert.deepEqual(wrong, []);
});

/** Each view as it is loaded anew, and how to see that all of it is there. */
const arrivals = {
  "#/order": ".heroes button, .menu",
  "#/order?hero=1": ".order",
  "#/order?hero=4": ".order",
  "#/kitchen": "tr[data-order]",
  "#/kitchen?order=34": "dialog ol",
  "#/manage": ".entry",
  "#/manage?kind=meals&id=4": "form",
  "#/console?hero=1": "[data-direction]",
  "#/operations": "[data-process]",
};

test("nothing jumps while a view is loaded, in whatever order its parts arrive", async (t) => {
  const atEnd = endings(t);
  const galley = await crowded();
  atEnd(() => galley.stop());
  const jumps = [];
  for (const width of [360, 1_440]) {
    const pages = await watched(browser, galley.url, { reducedMotion: "reduce", viewport: look(width).size, locale: "fr-FR" });
    const page = await pages.context.newPage();
    await watchShifts(page);
    const parts = await heldBack(page, ["**/ws*", "**/heroes*", "**/meals*", "**/orders*", "**/operations*"]);
    for (const [address, there] of Object.entries(arrivals)) {
      for (const order of [parts, parts.toReversed()]) {
        parts.forEach((part) => part.hold());
        await page.goto("about:blank");
        await page.goto(`/${address}`);
        for (const part of order) {
          await settled(page);
          part.release();
        }
        await page.locator(there).first().waitFor();
        await settled(page);
        const { sum, told } = await shifted(page);
        if (sum >= MAX_SHIFT) jumps.push(`${address} at ${width}, ${order[0].address} first: ${sum.toFixed(3)}\n${told}`);
      }
    }
    await pages.close();
  }
  assert.deepEqual(jumps, []);
});

/** Parts of what a page asks for, each of which can be kept back until it is released. */
async function heldBack(page, addresses) {
  return Promise.all(
    addresses.map(async (address) => {
      const part = { address, gate: Promise.resolve(), hold: () => (part.gate = new Promise((open) => (part.release = open))), release() {} };
      if (address.includes("/ws")) {
        await page.routeWebSocket(address, (socket) => part.gate.then(() => socket.connectToServer()));
      } else {
        await page.route(address, (route) => part.gate.then(() => route.continue()));
      }
      return part;
    }),
  );
}

/** Resolves when nothing is asked any more that was not held back, and the frame after it has been drawn. */
async function settled(page) {
  await page.locator("main *").first().waitFor();
  await page.evaluate(() => new Promise((idle) => requestIdleCallback(() => requestAnimationFrame(() => requestAnimationFrame(idle)), { timeout: 1_000 })));
}

/** Changes a meal on the page and behind its back. */
async function conflict(page, galley) {
  await page.locator("form input").first().fill("Another name");
  await galley.ask("PATCH", "/meals/3", { name: "A name of others", price: 14, description: "W".repeat(300), ingredients: ["riz", "W".repeat(200)] });
  await page.locator("form .primary").click();
  await page.locator(".conflict").waitFor();
}

/** Says some lines on the console. */
async function say(page) {
  for (const line of ["help", "menu", "W".repeat(500)]) {
    await page.locator("#command").fill(line);
    await page.locator("#command").press("Enter");
  }
}

/** Opens a frame and a form with a mistake. */
async function fillIn(page) {
  await say(page);
  await page.locator("[data-direction]").last().click();
  await page.locator(".compose > button").click();
  await page.locator(".fields select").first().selectOption("place");
  await page.locator(".fields .primary").click();
}

/** Several messages at once, of which the last is long. */
async function messages(page) {
  const order = (at) => page.locator(".meal button").nth(at).click();
  for (const at of [0, 5, 6, 1]) await order(at);
  await page.locator(".toast").nth(3).waitFor({ state: "attached" });
}
