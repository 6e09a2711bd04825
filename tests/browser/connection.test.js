// The connection of a page: it is doubted as soon as there is a reason to, and what it missed is read again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser } from "./browser.js";
import { connected, kitchen, order, visit } from "./dashboard.js";

useBrowser();

/** The bound within which a silent gateway is told, in milliseconds: three seconds, and slack for a busy machine. */
const DOUBT = 3_000 + 1_500;

test("a silent gateway is told within three seconds of anything that gives a reason to ask", async (t) => {
  // The database may be too busy at first for what was read meanwhile.
  const { galley, open } = await kitchen(t, browser, "1h", { expected: /status of 503/ });
  const page = await open();
  const state = page.locator(".connection");
  const back = async () => {
    galley.thaw();
    await connected(page);
  };
  const reasons = {
    "the network is gone": () => page.evaluate(() => dispatchEvent(new Event("offline"))),
    "the network is back": () => page.evaluate(() => dispatchEvent(new Event("online"))),
    "the page comes into sight": () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))),
    "the page comes out of the cache": () => page.evaluate(() => dispatchEvent(new Event("pageshow"))),
    "something is ordered": () => page.getByRole("button", { name: "Order Soup" }).click(),
  };
  for (const [reason, happen] of Object.entries(reasons)) {
    galley.freeze();
    const began = performance.now();
    await happen();
    await state.getByText("not answering").waitFor();
    const ms = performance.now() - began;
    assert.ok(ms < DOUBT, `${reason}: ${ms} ms`);
    await back();
  }
  await order(page, 1, "IN_PROGRESS").waitFor();
  // A machine that slept has missed the beats of its timers; its clock has gone on.
  galley.freeze();
  await page.evaluate(() => {
    const now = Date.now;
    Date.now = () => now() + 60_000;
  });
  await state.getByText("not answering").waitFor({ timeout: 5_000 + DOUBT });
  await back();
});

test("a page that waits for its next attempt tries at once when it comes into sight", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: OUTAGE });
  const page = await open(undefined, (page) => page.addInitScript(() => (Math.random = () => 0.999)));
  await galley.kill();
  // The pauses grow; one of ten seconds at the least leaves no doubt why it ended.
  await page.locator(".connection").getByText(/retry in 1\d s/).waitFor({ timeout: 60_000 });
  await galley.restart();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
  await page.locator('.connection[data-state="connected"]').waitFor({ timeout: 5_000 });
});

test("what changed during an outage is on every view after it", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h", { expected: OUTAGE });
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const views = [
    ["#/order?hero=1", (page) => [page.locator(".meal", { hasText: "Stew" }), page.locator(".allergies").getByText("Celery"), order(page, 1, "CANCELLED"), page.locator(".order", { hasText: "Stew" })]],
    ["#/manage?kind=meals", (page) => [page.getByRole("button", { name: /Stew/ }), page.getByRole("button", { name: /Pie/ })]],
    ["#/manage?kind=heroes", (page) => [page.getByRole("button", { name: /Celery/ }), page.getByRole("button", { name: /Nova/ })]],
    ["#/manage?kind=meals&id=1", (page) => [page.locator("form").getByText("celery")]],
    ["#/kitchen", (page) => [order(page, 1, "CANCELLED"), order(page, 2, "IN_PROGRESS"), page.getByRole("button", { name: "cancelled 1" })]],
    ["#/kitchen?order=1", (page) => [page.getByRole("dialog").getByText("cancelled", { exact: true }).first()]],
  ];
  const pages = await Promise.all(views.map(([address]) => open(address)));
  await galley.kill();
  for (const page of pages) await page.locator('.connection[data-state="waiting"]').waitFor();
  await galley.meanwhile(async (ask) => {
    await ask("PATCH", "/heroes/1", { allergies: ["Celery"] });
    await ask("PATCH", "/meals/1", { name: "Stew", ingredients: ["celery"] });
    await ask("POST", "/meals", { name: "Pie", price: 1, origin_planet: "Mars" });
    await ask("POST", "/heroes", { name: "Nova", planet: "Vega" });
    await ask("POST", "/orders/1/cancel", {});
    await ask("POST", "/orders", { hero_id: 1, meal_id: 2 });
  });
  await galley.restart();
  for (const [index, [, shown]] of views.entries()) for (const what of shown(pages[index])) await what.first().waitFor();
});

test("the heroes to choose from are read again when the network is back", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const page = await open("");
  await page.locator(".heroes").getByText("Zoé").waitFor();
  await galley.ask("POST", "/heroes", { name: "Nova", planet: "Vega" });
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.locator(".heroes").getByText("Nova").waitFor();
  await visit(page, "#/order?hero=2");
});
