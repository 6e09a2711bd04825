// The layout of what people see before they sign in, and of what signing in adds to each view.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser, watched } from "./browser.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { lookAt } from "./looks.js";
import { guarded, mint } from "./token.js";

useBrowser();

/** Signs in with a token, or with what is none. */
const paste = (token) => async (page) => {
  await page.locator(".sign-in input").fill(token);
  await page.locator(".sign-in .primary").click();
  await page.locator(".who-am-i, .sign-in .problem").first().waitFor();
};
const signOut = (page) => page.locator(".who-am-i button").click();
const hero = (id) => ({ role: "hero", sub: String(id) });

/** Each view, with what is to be done there before it is looked at. */
const views = {
  mistake: { address: "#/order", prepare: paste("no token"), isSmall: true },
  // The end of a token is told for its whole last minute.
  ending: { address: "#/order", prepare: (page) => paste(mint(hero(1), 58))(page), leave: signOut },
  "staff-only": { address: "#/kitchen", prepare: paste(mint(hero(1), 3_600)) },
  toast: { address: "#/order", prepare: (page) => page.locator(".meal button").first().click(), leave: signOut },
  "long-name": { address: "#/console", prepare: paste(mint(hero(2), 3_600)), leave: signOut },
  kitchen: { address: "#/kitchen", prepare: paste(mint({ role: "staff", sub: "ada.byron@heroes.example" }, 3_600)) },
};

test("signed out and signed in, everything stands where it belongs", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--drain", "0s", "--processing-delay", "0s", ...guarded);
  atEnd(() => galley.stop());
  const ask = (path, body) => galley.ask("POST", path, body, mint({ role: "staff" }, 3_600));
  for (const name of ["Zoé of a name that is long", "W".repeat(200)]) await ask("/heroes", { name, planet: "Earth" });
  for (const name of ["Soup", "Pie"]) await ask("/meals", { name, price: 9.5, origin_planet: "Mars" });
  const pages = await watched(browser, galley.url, { reducedMotion: "reduce" });
  atEnd(() => pages.close());
  const wrong = [];
  const page = await pages.context.newPage();
  await page.goto("/");
  await lookAt(page, wrong, "sign-in", views, galley);
  assert.deepEqual(wrong, []);
});
