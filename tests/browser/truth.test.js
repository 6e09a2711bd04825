// What the dashboard shows is how things are: however long the lists, whatever the viewer's clock, and whoever changed something elsewhere.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { connected, kitchen, order, visit } from "./dashboard.js";

useBrowser();

test("allergies and ingredients that somebody changes elsewhere are on the open page", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const page = await open();
  await page.getByRole("button", { name: "Order Soup" }).waitFor();
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  // Both at once: the button takes clicks again once it has been readable for a moment.
  await galley.ask("PATCH", "/heroes/1", { allergies: ["Leek"] });
  await galley.ask("PATCH", "/meals/1", { description: "hot" });
  await page.getByRole("button", { name: "Order anyway: Soup", disabled: false }).waitFor();
  await page.locator(".allergies").getByText("Leek").waitFor();
  await galley.ask("PATCH", "/meals/1", { ingredients: ["carrot"] });
  await page.getByRole("button", { name: "Order Soup" }).waitFor();
  await galley.ask("POST", "/meals", { name: "Pie", price: 1, origin_planet: "Mars", ingredients: ["leek"] });
  await page.getByRole("button", { name: "Order anyway: Pie" }).waitFor();
  await galley.ask("DELETE", "/meals/1");
  await page.getByRole("button", { name: "Order Soup" }).waitFor({ state: "detached" });
  // The frames tell: the page asks for the meals that were changed, and for nothing else.
  assert.deepEqual([...new Set(asked)].sort(), ["/meals/1", "/meals/2"]);
  const many = Array.from({ length: 15 }, (_, index) => `Stew ${index}.`);
  await Promise.all(many.map((name) => galley.ask("POST", "/meals", { name, price: 1, origin_planet: "Mars" })));
  for (const name of many) await page.getByRole("button", { name: `Order ${name}` }).waitFor();
});

test("a search finds what is beyond the first hundred", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const padded = (count) => Array.from({ length: count }, (_, index) => String(index).padStart(3, "0"));
  for (const number of padded(250)) await galley.ask("POST", "/meals", { name: `Stew ${number}`, price: 1, origin_planet: "Mars" });
  for (const number of padded(110)) await galley.ask("POST", "/heroes", { name: `Hero ${number}`, planet: "Mars" });
  await galley.ask("POST", "/meals", { name: "Zèbra", price: 1, origin_planet: "Mars" });
  await galley.ask("POST", "/heroes", { name: "Zorro", planet: "Mars" });
  const page = await open();
  await page.getByLabel("Search: Menu").fill("zebra");
  await page.getByRole("button", { name: "Order Zèbra" }).waitFor();
  // What is found follows changes, too, and so does what was added since.
  await galley.ask("PATCH", "/meals/252", { ingredients: ["Crème fraîche"] });
  await page.getByRole("button", { name: "Order anyway: Zèbra" }).waitFor();
  const foal = await galley.ask("POST", "/meals", { name: "Zebra foal", price: 1, origin_planet: "Mars" });
  await page.getByRole("button", { name: "Order Zebra foal" }).waitFor();
  await galley.ask("DELETE", `/meals/${foal.id}`);
  await page.getByRole("button", { name: "Order Zebra foal" }).waitFor({ state: "detached" });
  await page.getByLabel("Search: Menu").fill("stew");
  for (const last of ["099", "199"]) {
    await page.getByRole("button", { name: `Order Stew ${last}` }).waitFor();
    await page.getByRole("button", { name: "Show more" }).click();
  }
  await page.getByRole("button", { name: "Order Stew 249" }).waitFor();
  await page.getByLabel("Search: Menu").fill("LEEK");
  await page.getByRole("button", { name: "Order Soup" }).waitFor();
  await page.getByLabel("Search: Menu").fill("nowhere");
  await page.getByText("No meal has this in its name.").waitFor();

  // Whoever does not search finds it, too.
  await page.getByRole("combobox").click();
  for (let seen = ""; !seen.includes("Zorro"); seen = await page.getByRole("listbox").innerText()) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Escape");
  for (const [kind, name] of [["meals", "Zèbra"], ["heroes", "Zorro"]]) {
    await visit(page, `#/manage?kind=${kind}`);
    await page.getByRole("searchbox").fill(name);
    await page.getByRole("button", { name: new RegExp(name) }).waitFor();
  }
});

for (const minutes of [-5, 5]) {
  test(`ages and plots are right when the viewer's clock is ${minutes} minutes off`, async (t) => {
    const { galley, open } = await kitchen(t, browser, "1h");
    const wrong = (page) =>
      page.addInitScript((offset) => {
        const Right = Date;
        globalThis.Date = class extends Right {
          constructor(...given) {
            super(...(given.length > 0 ? given : [Right.now() + offset]));
          }
          static now() {
            return Right.now() + offset;
          }
        };
      }, minutes * 60_000);
    const page = await open("#/order?hero=1", wrong);
    await page.getByRole("button", { name: "Order Soup" }).click();
    await order(page, 1, "IN_PROGRESS").getByText(/· [1-9]\.\d s/).waitFor();
    await visit(page, "#/kitchen");
    await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
    const placed = page.getByRole("row", { name: /^placed/ }).getByRole("cell").last();
    await placed.filter({ hasText: /^[1-9]/ }).waitFor();
  });
}

test("where site data is blocked everything works, and is only not remembered", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const blocked = (page) =>
    page.addInitScript(() => {
      for (const name of ["localStorage", "sessionStorage"]) {
        const refuse = () => {
          throw new DOMException(`The document is sandboxed: ${name}`, "SecurityError");
        };
        Object.defineProperty(globalThis, name, { get: refuse });
      }
    });
  const page = await open("#/order?hero=1", blocked);
  await page.getByRole("button", { name: "Order Soup" }).click();
  await order(page, 1, "COMPLETED").waitFor();
  await page.getByRole("button", { name: /^FR/ }).click();
  for (const view of ["Cuisine", "Gérer", "Console"]) {
    await page.getByRole("link", { name: view }).click();
    await page.getByRole("heading", { name: view, level: 1 }).waitFor();
    await connected(page);
  }
});

test("the plots of the kitchen draw nothing for a time of which the page knows nothing", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  for (let placed = 0; placed < 150; placed++) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen");
  const now = (name) => page.getByRole("row", { name }).getByRole("cell").first();
  await now(/^ended/).filter({ hasText: /^0$/ }).waitFor();
  const ended = await drawn(page, "ended");
  assert.ok(ended.length > 0 && ended[0] > 0.8, `drawn from ${ended[0]} on`);

  // Two orders, and a time without any between them.
  const total = /^until ended \(95th percentile\)/;
  for (const times of ["one", "two"]) {
    await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
    await now(total).filter({ hasText: /^\d/ }).waitFor();
    if (times === "one") await now(total).filter({ hasText: "–" }).waitFor();
  }
  const columns = await drawn(page, "until ended (95th percentile)");
  const gaps = columns.slice(1).map((column, index) => column - columns[index]);
  assert.ok(Math.max(...gaps) > 2 / 120, `the largest gap is ${Math.max(...gaps)} of the width`);
});

/** The columns of a plot in which a line is drawn, from 0 on the left to 1 on the right. */
function drawn(page, label) {
  return page.evaluate((label) => {
    const row = [...document.querySelectorAll("figure tr")].find((row) => row.querySelector("th[scope=row]")?.textContent.trim() === label);
    const colour = getComputedStyle(row.querySelector(".key")).borderTopColor;
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    const wanted = probe.getImageData(0, 0, 1, 1).data;
    const canvas = row.closest("figure").querySelector("canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const near = (at) => [0, 1, 2].every((part) => Math.abs(data[at + part] - wanted[part]) < 24) && data[at + 3] > 128;
    const columns = Array.from({ length: width }, (_, x) => x).filter((x) => Array.from({ length: height }, (_, y) => y).some((y) => near(4 * (y * width + x))));
    // Beside the plot there are figures to the left, and a margin to the right.
    const [left, right] = [38, 24].map((side) => (side * width) / canvas.clientWidth);
    return columns.map((x) => (x - left) / (width - left - right));
  }, label);
}
