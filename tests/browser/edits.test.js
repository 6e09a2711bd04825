// Nothing that somebody did, or typed, is lost or undone by a click that was meant for something else.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { accessible, kitchen, order } from "./dashboard.js";

useBrowser();

test("a click meant for Cancel deletes nothing when the order has ended under it", async (t) => {
  const { galley, open } = await kitchen(t, browser, "2s");
  const page = await open();
  await page.getByRole("button", { name: "Order Soup" }).click();
  const button = page.getByRole("button", { name: "Cancel order 1" });
  await button.hover();
  const { x, y, width, height } = await button.boundingBox();
  await order(page, 1, "COMPLETED").waitFor();
  await page.mouse.click(x + width / 2, y + height / 2);
  assert.equal(await page.getByRole("dialog").count(), 0);
  const remove = await page.getByRole("button", { name: "Delete order 1" }).boundingBox();
  assert.ok(remove.x >= x + width || remove.x + remove.width <= x || remove.y >= y + height || remove.y + remove.height <= y, "another place");

  assert.equal(await page.getByText(/Deleted for everybody/).count(), 0);
  assert.equal((await galley.ask("GET", "/orders/1")).status, "COMPLETED");
});

test("in the kitchen, too, Cancel stays where it is when the order ends", async (t) => {
  const { galley, open } = await kitchen(t, browser, "2s");
  await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen?order=1");
  const dialog = page.getByRole("dialog", { name: "Order 1" });
  const { x, y, width, height } = await dialog.getByRole("button", { name: "Cancel order 1" }).boundingBox();
  await dialog.getByText("completed").first().waitFor();
  await page.mouse.click(x + width / 2, y + height / 2);
  assert.equal(await dialog.getByText(/Deleted for everybody/).count(), 0);
  await dialog.getByRole("button", { name: "Delete order 1" }).click();
  await dialog.getByText(/Deleted for everybody in [45] s/).waitFor();
  await dialog.getByText("This order was deleted.").waitFor();
});

test("unsaved changes are asked about before anything takes them away", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  await galley.ask("POST", "/heroes", { name: "Nova", planet: "Vega" });
  const page = await open("#/manage?id=1");
  const planet = page.getByLabel("Planet");
  const question = page.getByRole("dialog", { name: "Leave without saving?" });
  await planet.fill("Mars");
  await page.getByText("Unsaved changes").waitFor();
  const ways = {
    "another entry": () => page.getByRole("button", { name: /Nova/ }).click(),
    "another kind": () => page.getByRole("button", { name: "Meals" }).click(),
    "a new entry": () => page.getByRole("button", { name: "New hero" }).click(),
    "closing it": () => page.getByRole("region", { name: "Zoé" }).getByRole("button", { name: "Close" }).click(),
    "another view": () => page.getByRole("link", { name: "Kitchen" }).click(),
    "the keyboard": () => page.getByRole("main").press("1"),
    "an address": () => page.evaluate(() => (location.hash = "#/console")),
  };
  for (const [way, go] of Object.entries(ways)) {
    await go();
    await question.waitFor();
    if (way === "another entry") await accessible(page, "unsaved changes");
    await question.getByRole("button", { name: "Keep editing" }).click();
    assert.equal(await planet.inputValue(), "Mars", way);
    assert.match(page.url(), /manage\?id=1$/, way);
  }
  await page.getByRole("button", { name: /Nova/ }).click();
  await question.getByRole("button", { name: "Discard the changes" }).click();
  await page.getByRole("heading", { name: "Nova" }).waitFor();
  // Nothing was changed here: nothing is asked.
  await page.getByRole("button", { name: /Zoé/ }).click();
  await page.getByRole("heading", { name: "Zoé" }).waitFor();
  assert.equal(await planet.inputValue(), "Earth");
});

test("the browser asks before a tab with unsaved changes is closed", async (t) => {
  const { open, pages } = await kitchen(t, browser, "0s");
  const page = await open("#/manage?id=1");
  pages.context.removeAllListeners("dialog");
  const asked = new Promise((resolve) => page.on("dialog", (dialog) => (resolve(dialog.type()), dialog.accept())));
  await page.getByLabel("Planet").fill("Mars");
  await page.close({ runBeforeUnload: true });
  assert.equal(await asked, "beforeunload");
});

test("a half typed hero is not lost by a key or a click beside it", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const page = await open();
  await page.getByRole("button", { name: "New hero" }).click();
  const dialog = page.getByRole("dialog", { name: "New hero" });
  const question = page.getByRole("dialog", { name: "Leave without saving?" });
  await dialog.getByLabel("Name").fill("Nova");
  await page.keyboard.press("Escape");
  await question.getByRole("button", { name: "Keep editing" }).click();
  await page.mouse.click(5, 300);
  await question.getByRole("button", { name: "Keep editing" }).click();
  assert.equal(await dialog.getByLabel("Name").inputValue(), "Nova");
  await dialog.getByRole("button", { name: "Back" }).click();
  await question.getByRole("button", { name: "Discard the changes" }).click();
  await dialog.waitFor({ state: "detached" });
});

test("a form shows what somebody else changed: at once while nobody edits, as a conflict otherwise", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const page = await open("#/manage?id=1");
  await page.getByLabel("Planet").waitFor();
  await galley.ask("PATCH", "/heroes/1", { allergies: ["leek"] });
  await page.getByRole("button", { name: "Remove leek" }).waitFor();
  await page.getByRole("button", { name: /Zoé.*leek/s }).waitFor();
  await page.getByLabel("Planet").fill("Mars");
  await galley.ask("PATCH", "/heroes/1", { name: "Zora" });
  await page.getByRole("heading", { name: "Somebody else changed this meanwhile" }).waitFor();
  assert.equal(await page.getByLabel("Planet").inputValue(), "Mars");
});

test("what is answered after its view was left is taken in nowhere", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const page = await open("#/manage?id=1");
  await page.getByLabel("Planet").waitFor();
  galley.freeze();
  const asked = await Promise.all(["/heroes", "/heroes/1"].map((path) => page.waitForRequest((request) => new URL(request.url()).pathname === path)));
  await page.getByRole("link", { name: "Console" }).click();
  await page.getByRole("heading", { name: "Console", level: 1 }).waitFor({ state: "attached" });
  galley.thaw();
  for (const request of asked) assert.equal((await request.response()).status(), 200);
  // The next view reads its own, after these were taken in.
  await page.getByRole("link", { name: "Manage" }).click();
  await page.getByRole("button", { name: /Zoé/ }).waitFor();
});
