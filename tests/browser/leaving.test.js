// Real browsers through a restart: what they have open comes back by itself, after an orderly stop no later than after kill -9.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { connected, order } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

const STREAMS = 24;
const DASHBOARDS = 12;
/** How much longer than after a kill somebody may be away, in milliseconds: a browser with so many pages stands still for seconds. */
const SLACK = 10_000;

useBrowser();

/** A service with a hero and a meal, and so many pages, each in a browser of its own: one browser opens few connections to one host. */
async function crowd(t, pages, open) {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--processing-delay", "0s");
  atEnd(() => galley.stop());
  await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth", allergies: [] });
  await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars", ingredients: ["leek"] });
  const opened = await Promise.all(
    Array.from({ length: pages }, async () => {
      const context = await browser.newContext({ baseURL: galley.url });
      atEnd(() => context.close());
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      await open(context, page);
      return page;
    }),
  );
  return { galley, pages: opened };
}

/**
 * Ends the service, starts it again, and resolves with the longest time that a page was away, once all have seen an order after it. The
 * time that the program takes to start is not of it: that has nothing to do with how it ended.
 */
async function restarted({ galley, pages }, end, seen) {
  await end();
  const ended = performance.now();
  await galley.restart();
  const start = performance.now() - ended;
  const { id } = await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  await Promise.all(pages.map((page) => seen(page, id)));
  const away = await Promise.all(pages.map((page) => page.evaluate(() => globalThis.away.splice(0))));
  for (const times of away) assert.equal(times.length, 1, `away once: ${times}`);
  return Math.max(0, ...away.flat().map((time) => time - start));
}

async function compared(scene, seen) {
  const orderly = await restarted(scene, scene.galley.leave, seen);
  const killed = await restarted(scene, scene.galley.kill, seen);
  console.log(`away for ${Math.round(orderly)} ms at most, after kill -9 for ${Math.round(killed)} ms`);
  assert(orderly <= killed + SLACK, `${orderly} ms against ${killed} ms`);
}

test("event streams of 24 browsers come back by themselves after a restart", async (t) => {
  const scene = await crowd(t, STREAMS, async (context, page) => {
    await context.route("**/empty", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    await page.goto("/empty");
    await page.evaluate(() => {
      globalThis.away = [];
      globalThis.statuses = {};
      let since;
      const source = (globalThis.source = new EventSource("/heroes/1/events"));
      source.onerror = () => (since ??= performance.now());
      // A stream that is sent on elsewhere opens, too, but is not welcome.
      source.addEventListener("welcome", () => {
        if (globalThis.welcomed && since !== undefined) globalThis.away.push(performance.now() - since);
        globalThis.welcomed = true;
        since = undefined;
      });
      const take = ({ data }) => {
        const frame = JSON.parse(data);
        for (const order of frame.orders ?? [frame.order]) globalThis.statuses[order.id] = order.status;
      };
      for (const kind of ["welcome", "order", "resync"]) source.addEventListener(kind, take);
    });
    await page.waitForFunction(() => globalThis.welcomed);
  });
  await compared(scene, (page, id) => page.waitForFunction((id) => globalThis.statuses[id] === "COMPLETED", id));
});

test("12 dashboards come back by themselves after a restart", async (t) => {
  const scene = await crowd(t, DASHBOARDS, async (_, page) => {
    await page.goto("/#/order?hero=1");
    await connected(page);
    await page.evaluate(() => {
      globalThis.away = [];
      let since;
      setInterval(() => {
        const isConnected = document.querySelector(".connection")?.dataset.state === "connected";
        if (!isConnected) since ??= performance.now();
        else if (since !== undefined) {
          globalThis.away.push(performance.now() - since);
          since = undefined;
        }
      }, 10);
    });
  });
  await compared(scene, (page, id) => order(page, id, "COMPLETED").waitFor());
});
