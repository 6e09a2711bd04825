// Orders, cancels and deletions from the click to the answer: shown while they wait, withdrawn, undone, and kept in sight when they fail.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser } from "./browser.js";
import { accessible, connected, kitchen, order } from "./dashboard.js";
import { lookAt } from "./looks.js";

useBrowser();

const placed = async (galley) => (await galley.ask("GET", "/orders")).items.length;
const button = (page, name) => page.getByRole("button", { name, exact: true });

/** A page between whose socket and the gateway stands `refuse`: a slug for a frame that is refused, nothing for one that goes on. */
const refusing = (sent, refuse) => (page) =>
  page.routeWebSocket("**/ws*", (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((line) => {
      const frame = JSON.parse(line);
      sent.push(frame);
      const slug = refuse(frame);
      const problem = { type: `/problems/${slug}`, title: slug, status: 500, detail: slug };
      if (slug) socket.send(JSON.stringify({ type: "error", id: frame.id, problem }));
      else server.send(line);
    });
  });

test("a double click orders once, and a later press says that it orders once more", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const page = await open();
  const soup = button(page, "Order Soup");
  await soup.dblclick();
  await order(page, 1, "IN_PROGRESS").waitFor();
  await soup.and(page.locator('[aria-disabled="false"]')).focus();
  for (let held = 0; held < 10; held++) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await order(page, 2, "IN_PROGRESS").waitFor();
  assert.equal(await placed(galley), 2);

  galley.freeze();
  await soup.click();
  await button(page, "Order Soup, once more").click();
  await page.locator(".meal").getByText("Sending… (2)").waitFor();
  await accessible(page, "two orders are being sent");
  galley.thaw();
  await order(page, 4, "IN_PROGRESS").waitFor();
  assert.equal(await placed(galley), 4);
});

test("what fails stays on the page with its reason, and is tried again under the same key", async (t) => {
  const sent = [];
  let refused = "internal";
  const { galley, open } = await kitchen(t, browser, "1h");
  const page = await open(undefined, refusing(sent, ({ type }) => (type === "ping" ? undefined : refused)));
  await button(page, "Order Soup").click();
  const failure = page.locator('[data-failure="place"]');
  await failure.getByText("Not ordered. Something went wrong in the gateway.").waitFor();
  await button(page, "Try again: Soup").click();
  while (sent.filter(({ type }) => type === "place").length < 2) await page.evaluate(() => new Promise(requestAnimationFrame));
  await failure.waitFor();
  await accessible(page, "a placement failed");
  refused = undefined;
  await button(page, "Try again: Soup").click();
  await order(page, 1, "IN_PROGRESS").waitFor();
  await failure.waitFor({ state: "detached" });
  await page.locator(".toast-bad").waitFor({ state: "detached" });
  const keys = sent.filter(({ type }) => type === "place").map(({ key }) => key);
  assert.deepEqual([keys.length, new Set(keys).size, await placed(galley)], [3, 1, 1]);

  refused = "internal";
  await button(page, "Cancel order 1").click();
  await page.getByLabel("Reason").fill("changed my mind");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel order 1" }).click();
  await order(page, 1).getByText("Not cancelled. Something went wrong in the gateway.").waitFor();
  await accessible(page, "a cancel failed");
  refused = undefined;
  await button(page, "Try again: Order 1").click();
  await order(page, 1, "CANCELLED").getByText("changed my mind").waitFor();
  refused = "internal";
  await button(page, "Delete order 1").click();
  await order(page, 1).getByText("Not deleted. Something went wrong in the gateway.").waitFor();
  await button(page, "Dismiss: Order 1").click();
  await page.locator("[data-failure]").waitFor({ state: "detached" });
});

test("a deletion can be undone for five seconds, and is not sent if the page is left", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  for (let orders = 0; orders < 2; orders++) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open();
  const remove = (id) => button(page, `Delete order ${id}`).click();
  await order(page, 2, "COMPLETED").waitFor();
  await remove(1);
  await order(page, 1).getByText(/Deleted for everybody in [45] s/).waitFor();
  await accessible(page, "a deletion can be undone");
  // The keyboard is there already.
  await page.keyboard.press("Enter");
  await order(page, 1).getByText(/Deleted for everybody/).waitFor({ state: "detached" });
  await remove(2);
  await order(page, 2).waitFor({ state: "detached" });
  assert.deepEqual((await galley.ask("GET", "/orders")).items.map(({ id }) => id), [1]);

  const told = page.locator(".toast", { hasText: "nothing was sent" });
  const clear = async () => {
    while ((await page.locator(".toast").count()) > 0) await page.locator(".toast:visible button").first().click();
  };
  await clear();
  await remove(1);
  await page.getByRole("link", { name: "Console" }).click();
  await told.waitFor();
  await page.getByRole("link", { name: "Order", exact: true }).click();
  await clear();
  await remove(1);
  await page.reload();
  await told.waitFor();
  await order(page, 1, "COMPLETED").waitFor();
});

test("what waits for the connection is listed by name, and each can be withdrawn", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h", { expected: OUTAGE });
  await galley.ask("POST", "/meals", { name: "Pie", price: 1, origin_planet: "Mars" });
  const page = await open();
  await button(page, "Order Soup").click();
  await order(page, 1, "IN_PROGRESS").waitFor();
  const waits = page.getByRole("list", { name: "Waiting to be sent" }).getByRole("listitem");
  await galley.kill();
  await page.locator('.connection[data-state="waiting"]').waitFor();
  await button(page, "Order Soup").click();
  await button(page, "Order Pie").click();
  await button(page, "Cancel order 1").click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel order 1" }).click();
  for (const text of [/Soup.*Waits/s, /Pie.*Waits/s, /Soup.*No. 1.*Cancelling/s]) await waits.filter({ hasText: text }).waitFor();
  await accessible(page, "what waits");
  await button(page, "Withdraw: Pie").click();
  await waits.filter({ hasText: /No. 1/ }).getByRole("button").click();
  await page.locator(".toast", { hasText: "Withdrawn: nothing was sent." }).first().waitFor({ state: "attached" });
  assert.equal(await waits.count(), 1);
  await galley.restart();
  await order(page, 2, "IN_PROGRESS").waitFor();
  await waits.first().waitFor({ state: "detached" });
  assert.deepEqual((await galley.ask("GET", "/orders")).items.map(({ meal_id, status }) => [meal_id, status]), [[1, "IN_PROGRESS"], [1, "IN_PROGRESS"]]);

  // What was sent may have been received: the page says so, and the order appears.
  galley.freeze();
  await button(page, "Order Pie").click();
  await button(page, "Withdraw: Pie").click();
  await page.locator(".toast", { hasText: "may have received it" }).waitFor();
  galley.thaw();
  await order(page, 3, "IN_PROGRESS").waitFor();
});

test("what waits, what failed and what can be undone stand where they belong", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: OUTAGE });
  const long = "W".repeat(200);
  const names = ["Bœuf bourguignon de la ceinture d'astéroïdes", long];
  for (const name of names) await galley.ask("POST", "/meals", { name, price: 1, origin_planet: "Mars" });
  const page = await open(undefined, refusing([], ({ meal_id }) => (meal_id === 2 || meal_id === 3 ? "too-many-open-orders" : undefined)));
  await page.locator(".meal button").first().click();
  await order(page, 1, "COMPLETED").waitFor();
  const failed = async () => {
    for (const at of [1, 2]) await page.locator(".meal button").nth(at).click();
    await page.locator("[data-failure]").nth(1).waitFor();
  };
  const dismissed = async () => {
    while ((await page.locator("[data-failure]").count()) > 0) await page.locator("[data-failure] button").last().click();
  };
  // The time in which a deletion can be undone does not end while it is looked at.
  const undoable = async () => {
    await page.evaluate(() => (performance.now = () => 0));
    await page.locator(".order .end button:visible").first().click();
  };
  const kept = async () => {
    await page.locator(".order p button").click();
    await page.evaluate(() => delete performance.now);
  };
  const wrong = [];
  await lookAt(page, wrong, "full", { failed: { prepare: failed, leave: dismissed }, undoable: { prepare: undoable, leave: kept } });
  await galley.kill();
  await page.locator('.connection[data-state="waiting"]').waitFor();
  const waiting = async () => {
    for (const at of [0, 1, 2]) await page.locator(".meal button").nth(at).click();
    await page.locator("[data-pending]").nth(2).waitFor();
  };
  await lookAt(page, wrong, "outage", { queued: { prepare: waiting } });
  await page.close();
  await galley.restart();
  assert.deepEqual(wrong, []);
});
