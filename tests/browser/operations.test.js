// The view of the operations, and the history that the plots of the kitchen begin with.

import { test } from "node:test";
import { browser, OUTAGE, useBrowser, watched } from "./browser.js";
import { accessible, connected, kitchen } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { guarded, mint } from "./token.js";

useBrowser();

/** The value beside a name in a card of a process. */
const figure = (page, name) => page.locator("[data-process] .ends", { hasText: name }).locator("dd").first();

test("the operations of the service are shown, and follow what happens", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s", { expected: OUTAGE });
  const page = await open("#/operations");
  const card = page.locator("[data-process]");
  await card.getByRole("heading", { name: "Gateway and worker" }).waitFor();
  await card.getByText(/^heard \d s ago$/).waitFor();
  for (let placed = 0; placed < 3; placed++) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  await figure(page, "Completed").filter({ hasText: "3 (3 in the last minute)" }).waitFor();
  await page.getByRole("region", { name: "Orders", exact: true }).getByText("completed").locator("xpath=../dd").filter({ hasText: /^3$/ }).waitFor();
  await page.getByRole("row", { name: /^placed/ }).getByRole("cell").last().filter({ hasText: /[1-3]/ }).waitFor();
  await accessible(page, "operations");
  await page.keyboard.press("3");
  await page.getByRole("heading", { name: "Manage", level: 1 }).waitFor();
  await page.keyboard.press("5");
  await card.waitFor();

  await galley.kill();
  await page.locator('.connection:not([data-state="connected"])').waitFor();
  await galley.restart();
  await connected(page);
  await figure(page, "Completed").filter({ hasText: "0 (0 in the last minute)" }).waitFor();
});

test("a process that is not heard is marked in words", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const process = (id, state, heard_ms, report) => ({ id, state, heard_ms, report });
  const page = await open("#/operations", (page) =>
    page.route("**/operations", async (route) => {
      const response = await route.fetch();
      const json = await response.json();
      const [{ report }] = json.processes;
      const others = [process(2, "unheard", 65_000, report), process(3, "unheard"), process(4, "dead", 9_000, report), process(5, "left", 5_000)];
      await route.fulfill({ response, json: { ...json, processes: [...json.processes, ...others], processes_left_out: 3 } });
    }),
  );
  const told = (id, text) => page.locator(`[data-process="${id}"]`).getByText(text).waitFor();
  await told(2, /^not heard for 1 min \d+ s$/);
  await told(3, "alive, but never heard");
  await told(3, "Process of an older version");
  await told(4, /^dead, heard \d+ s ago$/);
  await told(5, /^left \d s ago$/);
  await page.getByText("3 more are not listed.").waitFor();
});

test("a hero is told that the operations are for staff", async (t) => {
  const atEnd = endings(t);
  const galley = await start(...guarded);
  atEnd(() => galley.stop());
  const pages = await watched(browser, galley.url, { locale: "en-GB", expected: /status of 40[13]/ });
  atEnd(() => pages.close());
  const page = await pages.context.newPage();
  await page.goto("/#/operations");
  await page.getByLabel("Token").fill(mint({ role: "hero", sub: "1" }, 3_600));
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByText("Only staff sees how the service is run").waitFor();
});

test("the plots of the kitchen begin with the past, also after the page is loaded again", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const ended = async () => (await galley.ask("GET", "/operations")).history.reduce((sum, { completed }) => sum + completed, 0);
  // More than the page reads, so that it cannot know it from the orders.
  while ((await ended()) < 130) await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
  const page = await open("#/kitchen");
  const most = page.getByRole("row", { name: /^ended/ }).getByRole("cell").last();
  await most.filter({ hasText: /^[1-9]/ }).waitFor();
  await page.reload();
  await most.filter({ hasText: /^[1-9]/ }).waitFor();
});
