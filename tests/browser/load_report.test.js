// The report of `galley-load` while it runs: at any width, in both themes, under the pointer, and to its end.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { launch, watched } from "./browser.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

const program = resolve(import.meta.dirname, "../../target/debug/galley-load");
const words = "storm --sockets 5 --rate 20 --storm-every 1s --mix place=3,read=1 --duration 1h --web 127.0.0.1:0".split(" ");

/** Starts a load test against this gateway; returns the process and the address of its report. */
async function underLoad(url) {
  const load = spawn(program, [...words, "--url", url], { stdio: ["ignore", "ignore", "pipe"] });
  const [line] = await once(createInterface(load.stderr), "line");
  assert.match(line, /^the report is at http/);
  return [load, line.slice("the report is at ".length)];
}

/** What hangs out of the window, or out of the cell of a table. Runs in the page. */
function outside() {
  const out = [...document.querySelectorAll("main *")].filter(
    (element) => element.getBoundingClientRect().right > innerWidth + 1 || (/^T[DH]$/.test(element.tagName) && element.scrollWidth > element.clientWidth + 1),
  );
  return out.map((element) => element.textContent.slice(0, 60));
}

test("the report of a running load test fits a phone and a desk in both themes, and shows the values under the pointer", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--processing-delay", "0s");
  atEnd(() => galley.stop());
  const [load, address] = await underLoad(galley.url);
  atEnd(async () => load.kill("SIGKILL"));
  const browser = await launch();
  atEnd(() => browser.close());
  const pages = await watched(browser, address, { expected: /net::ERR_CONNECTION_REFUSED/ });
  const page = await pages.context.newPage();
  await page.goto("/");
  await page.locator("line.cut").first().waitFor({ state: "attached" });
  const wrong = [];
  for (const [width, theme] of [360, 1_440].flatMap((width) => ["light", "dark"].map((theme) => [width, theme]))) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: theme });
    const beyond = await page.evaluate(outside);
    wrong.push(...beyond.map((text) => `${width} ${theme}: ${text}`));
  }
  assert.deepEqual(wrong, []);
  const orders = page.locator("figure", { hasText: "Orders, a second" });
  await orders.locator(".at").nth(1).hover();
  await orders.getByText(/^\d+ s: sent \d+, accepted \d+, ended \d+$/).filter({ visible: true }).first().waitFor();
  assert.doesNotMatch(await page.locator("main").innerText(), /[{}]|null/);
  load.kill("SIGINT");
  await page.getByText("The test has ended").waitFor();
  await pages.close();
});
