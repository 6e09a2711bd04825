import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, watched } from "./browser.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

const EVIL = "<img src=x onerror=alert(1)>";

let browser;

before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** A service with one hero and one meal, and pages that watch it; both end with the test. */
async function kitchen(test, delay) {
  const atEnd = endings(test);
  const galley = await start("--no-seed", "--processing-delay", delay);
  atEnd(() => galley.stop());
  const hero = await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
  const meal = await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars", ingredients: ["leek"] });
  const pages = await watched(browser, galley.url);
  atEnd(() => pages.close());
  const open = async () => {
    const page = await pages.context.newPage();
    await page.goto("/");
    await page.getByRole("status").getByText("connected", { exact: true }).waitFor();
    return page;
  };
  return { galley, hero, meal, open };
}

const order = (page) => page.getByRole("button", { name: "Order Soup" }).click();
const row = (page, id, status) => page.locator(`tr[data-order="${id}"][data-status="${status}"]`);

test("a meal is ordered in the page and completes before one's eyes, in two tabs", async (t) => {
  const { galley, meal, open } = await kitchen(t, "1s");
  const [page, other] = [await open(), await open()];
  await order(page);
  for (const status of ["IN_PROGRESS", "COMPLETED"]) {
    await Promise.all([page, other].map((tab) => row(tab, 1, status).waitFor()));
  }
  assert.match(await row(page, 1, "COMPLETED").innerText(), /1\s+Soup\s+✅ completed/);
  assert.equal(await page.locator("#orders").innerText(), await other.locator("#orders").innerText());
  const stored = await galley.ask("GET", "/orders/1");
  assert.deepEqual([stored.status, stored.version, stored.meal_id], ["COMPLETED", 3, meal.id]);

  await page.getByRole("button", { name: "Delete order 1" }).click();
  await Promise.all([page, other].map((tab) => tab.locator("tr[data-order]").waitFor({ state: "detached" })));
});

test("an order is cancelled in one tab and seen cancelled in the other", async (t) => {
  const { galley, open } = await kitchen(t, "1h");
  const [page, other] = [await open(), await open()];
  await order(page);
  await row(other, 1, "IN_PROGRESS").waitFor();
  await other.getByRole("button", { name: "Cancel order 1" }).click();
  await Promise.all([page, other].map((tab) => row(tab, 1, "CANCELLED").waitFor()));
  assert.equal((await galley.ask("GET", "/orders/1")).reason, "hero_request");
  await page.reload();
  await row(page, 1, "CANCELLED").waitFor();
});

test("an allergy is told with the ingredient, and what others change is seen as well", async (t) => {
  const { galley, hero, meal, open } = await kitchen(t, "1h");
  const page = await open();
  await galley.ask("PATCH", `/heroes/${hero.id}`, { allergies: ["LEEK"] });
  await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  await row(page, 1, "CANCELLED").getByText("leek").waitFor();
});

test("text from elsewhere is text", async (t) => {
  const { galley, open } = await kitchen(t, "1h");
  const hero = await galley.ask("POST", "/heroes", { name: EVIL, planet: EVIL, allergies: [EVIL] });
  const meal = await galley.ask("POST", "/meals", { name: EVIL, price: 1, origin_planet: EVIL, ingredients: [EVIL] });
  await galley.ask("POST", "/orders", { hero_id: hero.id, meal_id: meal.id });
  const page = await open();
  await page.getByLabel("Hero").selectOption(String(hero.id));
  const cancelled = row(page, 1, "CANCELLED");
  await cancelled.waitFor();
  assert.equal((await cancelled.innerText()).split(EVIL).length, 3, "the meal and the message show it as text");
  assert.match(await page.getByLabel("Hero").locator("option:checked").innerText(), /<img/);
  assert.equal(await page.locator("main img").count(), 0);
});

test("the page comes back by itself when the connection is lost", async (t) => {
  const { galley, open } = await kitchen(t, "1s");
  const page = await open();
  // The next thing that the page wants to say closes its socket instead.
  await page.evaluate(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function () {
      WebSocket.prototype.send = send;
      this.close(1000);
    };
  });
  const again = page.waitForEvent("websocket");
  await order(page);
  await again;
  await page.getByRole("status").getByText("connected", { exact: true }).waitFor();
  await order(page);
  await row(page, 1, "COMPLETED").waitFor();
  assert.equal((await galley.ask("GET", "/orders")).items.length, 1);
});
