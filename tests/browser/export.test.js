// What the Kitchen shows, as files.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { kitchen, order } from "./dashboard.js";

useBrowser();

test("what is shown is saved as CSV, in which nothing is a formula, and as JSON", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const texts = ['=1+1,"quoted"', "+33", "-1", "@SUM(A1)", "plain é"];
  for (const name of texts) await galley.ask("POST", "/heroes", { name, planet: "Io" });
  for (let id = 1; id <= 6; id++) await galley.ask("POST", "/orders", { hero_id: id, meal_id: 1 });
  await galley.ask("POST", "/orders/2/cancel", { reason: "one,\u2028two" });
  const page = await open("#/kitchen?sort=id");
  await order(page, 2, "CANCELLED").waitFor();
  const saved = async (format) => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: `Save as ${format}` }).click()]);
    assert.equal(file.suggestedFilename(), `orders.${format.toLowerCase()}`);
    return readFile(await file.path(), "utf8");
  };
  const csv = await saved("CSV");
  assert.equal(csv.codePointAt(0), 0xfeff);
  const lines = csv.slice(1).split("\r\n");
  assert.equal(lines.length, 8);
  assert.match(lines[0], /^id,status,hero_id,hero,meal_id,meal,order_time,/);
  for (const [at, cell] of ["Zoé", `"'=1+1,""quoted"""`, "'+33", "'-1", "'@SUM(A1)", "plain é"].entries()) {
    assert.ok(lines[at + 1].includes(`,${at + 1},${cell},1,Soup,`), lines[at + 1]);
  }
  assert.ok(lines[2].includes(',hero_request,"one,\u2028two",'), lines[2]);

  // Only what is shown, in the same order.
  await page.getByRole("button", { name: /^cancelled/ }).click();
  await order(page, 1).waitFor({ state: "detached" });
  const json = JSON.parse(await saved("JSON"));
  assert.deepEqual(json.map(({ id, hero, reason }) => [id, hero, reason]), [[2, texts[0], "hero_request"]]);
});
