// What can go wrong, and what has to work for everybody.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser } from "./browser.js";
import { accessible, connected, kitchen, order, visit } from "./dashboard.js";

const EVIL = "<img src=x onerror=alert(1)>";
const VIEWS = ["#/order", "#/kitchen", "#/manage", "#/console"];

useBrowser();

test("the gateway is killed: the page says so, counts down, keeps what is ordered, and comes back by itself", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: OUTAGE });
  const page = await open();
  const state = (name) => page.locator(`.connection[data-state="${name}"]`);
  await galley.kill();
  await state("waiting").getByText(/connection lost|nobody answers/).waitFor();
  await page.getByRole("alert").getByText("Connection lost.").waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Order Soup" }).click();
  await page.getByText("1 command waits for its answer").waitFor();
  await state("waiting").getByText(/retry in \d+ s/).waitFor();
  await accessible(page, "not connected");
  await galley.restart();
  await connected(page);
  await order(page, 1, "COMPLETED").waitFor();
  assert.equal((await galley.ask("GET", "/orders")).items.length, 1);

  // A page that is closed before the answer finds its order again.
  await galley.kill();
  await page.getByRole("button", { name: "Order Soup" }).click();
  await page.getByText("1 command waits for its answer").waitFor();
  await page.close();
  await galley.restart();
  const another = await open();
  await order(another, 2, "COMPLETED").waitFor();
  assert.equal((await galley.ask("GET", "/orders")).items.length, 2);
});

test("text from elsewhere is text, however hostile", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const names = [EVIL, "\u05E8\u05E2 evil \u0634\u0631 right to left", "W".repeat(200), "{{7*7}} ${7*7} {@html 1}"];
  for (const text of names) {
    const hero = await galley.ask("POST", "/heroes", { name: text, planet: text, allergies: [text] });
    const meal = await galley.ask("POST", "/meals", { name: text, price: 1, origin_planet: text, description: text, ingredients: [text] });
    await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  }
  const page = await open("#/order?hero=2");
  await order(page, 1, "CANCELLED").getByText(EVIL).first().waitFor();
  await page.getByRole("combobox").click();
  await page.getByRole("option", { name: EVIL }).waitFor();
  await page.keyboard.press("Escape");
  for (const address of ["#/order?hero=2", "#/order?hero=4", "#/kitchen", "#/kitchen?order=1", "#/kitchen?order=3", "#/manage?id=2", "#/manage?kind=meals&id=4"]) {
    await visit(page, address);
    const shown = page.getByText(/<img src=x|W{200}/).or(page.locator("input:visible")).first();
    await shown.waitFor();
    assert.equal(await page.locator("main img, dialog img").count(), 0, address);
    await noSidewaysScroll(page, address);
    await accessible(page, address);
    await page.keyboard.press("Escape");
  }
  await visit(page, "#/console?hero=2");
  await page.locator('[data-direction="received"]', { hasText: "onerror" }).waitFor();
  assert.equal(await page.locator("main img").count(), 0);
});

test("everything can be done with the keyboard", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const focused = (page) => page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.getAttribute("aria-label"));
  const page = await open("");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the content");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Zo");
  await page.getByRole("option", { name: "Zoé" }).waitFor();
  await page.keyboard.press("Enter");
  // A key waits for nothing, and the button takes none before the allergies of the hero are known.
  const soup = page.getByRole("button", { name: "Order Soup", disabled: false });
  await soup.waitFor();
  await soup.press("Enter");
  await order(page, 1, "COMPLETED").waitFor();
  for (let count = 0; count < 29; count++) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });

  await page.getByRole("main").focus();
  await page.keyboard.press("2");
  await order(page, 30, "COMPLETED").waitFor();
  await page.getByRole("button", { name: "Details of order 30" }).focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(page), "29");
  await page.keyboard.press("End");
  assert.equal(await focused(page), "1");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Order 1" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "1", "the focus is where it was");
  await page.keyboard.press("Home");
  assert.equal(await focused(page), "30");
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.keyboard.press("3");
  await page.getByRole("heading", { name: "Manage", level: 1 }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("nobody");
  await page.getByText("Nothing matches.").waitFor();
  await page.getByRole("main").focus();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await accessible(page, "shortcuts");
});

test("on a phone nothing is out of reach", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open();
  for (const address of [...VIEWS, "#/manage?id=1", "#/kitchen?order=1"]) {
    await visit(page, address);
    await noSidewaysScroll(page, address);
    await accessible(page, address);
  }
});

test("ten thousand rows and a thousand updates a second leave the page smooth", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const ROWS = 10_000;
  const page = await open("#/kitchen", async (page) => {
    // A gateway that is as fast as this takes a machine of its own; its frames can be played.
    await page.routeWebSocket("**/ws*", (socket) => {
      const say = (frame) => socket.send(JSON.stringify(frame));
      const at = (id) => new Date(Date.now() - (ROWS - id)).toISOString();
      const state = (id, status, version) => ({
        id, hero_id: 1, meal_id: 1, status, version, message: null, reason: null, order_time: at(id),
        started_time: version > 1 ? at(id) : null, completed_time: version > 2 ? at(id) : null,
      });
      const totals = { PENDING: 0, IN_PROGRESS: 0, COMPLETED: ROWS, CANCELLED: 0 };
      say({ type: "welcome", resume: "fresh", orders: [], help: "" });
      socket.onMessage((line) => {
        const { type, id } = JSON.parse(line);
        if (type !== "watch") return;
        say({ type: "reply", id, watching: true, totals });
        say({ type: "feed", orders: Array.from({ length: ROWS }, (_, index) => state(index + 1, "COMPLETED", 3)), totals });
        let next = ROWS + 1;
        const timer = setInterval(() => {
          say({ type: "feed", orders: Array.from({ length: 100 }, () => state(next++, "IN_PROGRESS", 2)), totals });
          say({ type: "feed", orders: Array.from({ length: 100 }, (_, index) => state(next - 1 - index, "COMPLETED", 3)), totals });
        }, 200);
        t.after(() => clearInterval(timer));
      });
    });
  });
  await page.locator("tr.row").first().waitFor();
  const gaps = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const gaps = [];
        let last = performance.now();
        const box = document.querySelector(".box");
        const draw = (now) => {
          gaps.push(now - last);
          last = now;
          box.scrollTop += 200;
          if (gaps.length < 150) requestAnimationFrame(draw);
          else resolve(gaps);
        };
        requestAnimationFrame(draw);
      }),
  );
  gaps.sort((one, other) => one - other);
  const [median, worst] = [gaps[75], gaps[142]];
  t.diagnostic(`a frame of the screen every ${median.toFixed(1)} ms, 95 % within ${worst.toFixed(1)} ms`);
  assert.ok(median < 50 && worst < 200, `${median} and ${worst} ms`);
  const drawn = await page.locator("tr.row").count();
  assert.ok(drawn > 5 && drawn < 60, `${drawn} rows are drawn`);
  assert.ok(Number(await page.locator("table[aria-rowcount]").getAttribute("aria-rowcount")) > ROWS);
});

/** Text that is too long breaks or is cut; it never pushes the page aside. */
async function noSidewaysScroll(page, where) {
  const [scroll, client] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(scroll <= client, `${where}: ${scroll} > ${client}`);
}
