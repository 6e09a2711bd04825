// What the tests of the dashboard stand on: a service, pages in a language and a theme, and words for what people do there.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { watched } from "./browser.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A service with one hero and one meal, and pages that watch it; all end with the test. */
export async function kitchen(test, browser, delay, { language = "en", theme = "light", ...options } = {}) {
  const atEnd = endings(test);
  const galley = await start("--no-seed", "--processing-delay", delay, "--drain", "0s");
  atEnd(() => galley.stop());
  const hero = await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth", allergies: ["Crème  FRAICHE"] });
  const meal = await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars", ingredients: ["leek"] });
  const locale = language === "fr" ? "fr-FR" : "en-GB";
  const pages = await watched(browser, galley.url, { locale, colorScheme: theme, reducedMotion: "reduce", ...options });
  atEnd(() => pages.close());
  const open = async (address = `#/order?hero=${hero.id}`, prepare = async () => {}) => {
    const page = await pages.context.newPage();
    page.setDefaultTimeout(15_000);
    await prepare(page);
    await page.goto(`/${address}`);
    // Without a hero there is nothing yet to connect for.
    if (address !== "") await connected(page);
    await read(page);
    return page;
  };
  return { galley, hero, meal, pages, open };
}

/** Resolves when the page says that it is connected. */
export const connected = (page) => page.locator('.connection[data-state="connected"]').waitFor();

/** Resolves when the page has read what it shows. */
async function read(page) {
  await page.locator("main h1").waitFor({ state: "attached" });
  await page.locator(".skeleton").first().waitFor({ state: "detached" });
}

/** Goes to another view of the same page. */
export async function visit(page, address) {
  await page.evaluate((address) => (location.hash = address), address);
  await connected(page);
}

/** The order of this number, wherever it is shown; with a status, as soon as it has that. */
export const order = (page, id, status) => page.locator(`[data-order="${id}"]${status ? `[data-status="${status}"]` : ""}`);

/** Nothing that WCAG 2.2 AA forbids, as far as a program can tell. */
export async function accessible(page, where) {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  // From the top: where the page happens to be scrolled to, something lies partly under the bar.
  await page.evaluate(() => scrollTo(0, 0));
  // In the isolated world of the tests, which the policy of the page does not bind.
  await page.evaluate(axe);
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } }), tags);
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary}`).join("\n")}`);
  assert.deepEqual(told, [], where);
}
