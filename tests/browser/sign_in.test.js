// Signing in at a real identity provider, staying signed in, and signing out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, OUTAGE, useBrowser, watched } from "./browser.js";
import { accessible, connected, order } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { AUDIENCE, identityProvider } from "./provider.js";
import { mint, SECRET } from "./token.js";

useBrowser();

/** A gateway whose people sign in at a provider, with one hero and one meal. */
async function house(t, { seconds, renews, away = false, delay = "0s", expected, ...options } = {}) {
  const atEnd = endings(t);
  const provider = await identityProvider({ seconds, renews });
  atEnd(() => provider.leave());
  if (away) await provider.leave();
  const galley = await start("--no-seed", "--drain", "0s", "--processing-delay", delay, "--jwt-secret", SECRET, ...provider.settings);
  atEnd(() => galley.stop());
  provider.serve(galley.url);
  const staff = mint({ role: "staff", iss: provider.issuer, aud: AUDIENCE }, 3_600);
  const ask = (method, path, body) => galley.ask(method, path, body, staff);
  await ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
  await ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars" });
  const pages = await watched(browser, galley.url, { locale: "en-GB", reducedMotion: "reduce", others: [provider.issuer], expected, ...options });
  atEnd(() => pages.close());
  const open = async (address = "/") => {
    const page = await pages.context.newPage();
    page.setDefaultTimeout(15_000);
    await page.goto(address);
    return page;
  };
  return { provider, galley, ask, pages, open };
}

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** Says at the provider who one is. */
async function identify(page, account) {
  await page.getByLabel("Account").fill(account);
  await button(page, "Go on").click();
}

async function signIn(page, account) {
  await button(page, "Sign in").click();
  await identify(page, account);
}

test("a hero signs in, and neither the page nor a second tab pauses while tokens are renewed", async (t) => {
  const { provider, ask, open } = await house(t, { seconds: 4 });
  const page = await open();
  const sockets = [];
  const seen = new Map();
  page.on("websocket", (socket) => {
    sockets.push(socket);
    socket.on("framereceived", ({ payload }) => {
      const { type, order } = JSON.parse(payload);
      if (type === "order") seen.set(order.id, [...(seen.get(order.id) ?? []), order.version]);
    });
  });
  await accessible(page, "signed out");
  const began = Date.now();
  await signIn(page, "zoe");
  await connected(page);
  await button(page, "Order Soup").waitFor();
  assert.equal(new URL(page.url()).search, "", "the code is not in the address");
  const you = page.getByRole("group", { name: "Signed in" });
  await you.getByText("Zoé", { exact: true }).waitFor();
  await you.getByText("hero", { exact: true }).waitFor();
  const other = await open();
  await connected(other);
  await accessible(page, "signed in");
  let placed = 0;
  while (provider.renewals() < 2) {
    await ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
    placed += 1;
    await order(page, placed, "COMPLETED").waitFor();
  }
  await order(other, placed, "COMPLETED").waitFor();
  assert.deepEqual([...seen], Array.from({ length: placed }, (_, index) => [index + 1, [1, 2, 3]]), "nothing is missing");
  assert.deepEqual([sockets.length, sockets[0].isClosed()], [1, false]);
  // A token is renewed when three quarters of its life are over.
  const renewals = provider.renewals();
  assert.ok(Date.now() - began > renewals * 2_000, `one tab renews for both: ${renewals} renewals`);

  await button(page, "Sign out").click();
  await other.getByText("You signed out in another tab.").waitFor();
  await button(page, "Yes, sign me out").click();
  await button(page, "Sign in").click();
  await page.getByLabel("Account").waitFor();
});

test("what was wanted is shown after signing in, and each role sees what is for it", async (t) => {
  const { open } = await house(t);
  const page = await open("/#/operations");
  const tabs = () => page.getByRole("navigation").getByRole("link").allInnerTexts();
  assert.deepEqual(await tabs(), []);
  await signIn(page, "ada");
  await page.locator("[data-process]").waitFor();
  assert.deepEqual(await tabs(), ["Order", "Kitchen", "Manage", "Console", "Operations"]);
  await page.getByRole("group", { name: "Signed in" }).getByText("Ada Byron").waitFor();
  await button(page, "Sign out").click();
  await button(page, "Yes, sign me out").click();
  await signIn(page, "zoe");
  await connected(page);
  assert.deepEqual(await tabs(), ["Order", "Console"]);
  assert.deepEqual([await page.getByRole("combobox").count(), await button(page, "New hero").count()], [0, 0]);
  for (const [view, words] of [["kitchen", "the whole feed"], ["manage", "heroes and meals"], ["operations", "how the service is run"]]) {
    await page.goto(`/#/${view}`);
    await page.getByText(words).waitFor();
    await accessible(page, view);
  }
  await page.goto("/#/order?hero=7");
  await button(page, "Order Soup").waitFor();
  await page.getByRole("main").focus();
  await page.keyboard.press("2");
  await page.getByRole("heading", { name: "Console", level: 1 }).waitFor();
});

test("what a provider refuses is told, and who has no role may sign in as somebody else", async (t) => {
  const { galley, open } = await house(t, { expected: /status of 401/ });
  const page = await open();
  await button(page, "Sign in").click();
  await button(page, "Decline").click();
  await page.getByRole("alert").getByText("or you declined").waitFor();
  assert.equal(new URL(page.url()).search, "");
  await accessible(page, "declined");
  for (const [query, words] of [
    ["?code=stolen&state=other", "not begun here, or was used before"],
    ["?error=server_error", "not begun here"],
  ]) {
    await page.goto(`/${query}`);
    await page.getByRole("alert").getByText(words).waitFor();
    assert.equal(page.url(), `${galley.url}/`);
  }
  await signIn(page, "guest");
  await page.getByText('no role of Galley, but "visitor". A good one is signed with').waitFor();
  await signIn(page, "zoe");
  await connected(page);
  // The address with the code is not in the history.
  await page.goto("/#/console");
  await connected(page);
  await page.goBack();
  await connected(page);
  assert.equal(page.url().includes("code="), false);
});

test("a provider that is away at the start, at the sign-in and at a renewal is told, and waited for", async (t) => {
  const { provider, open } = await house(t, { away: true, seconds: 5, expected: OUTAGE });
  const page = await open();
  await page.getByText("The identity provider does not answer at present.").waitFor();
  await accessible(page, "the provider is away");
  await provider.comeBack();
  await button(page, "Sign in").waitFor();
  await provider.leave();
  await button(page, "Sign in").click();
  await page.getByRole("alert").getByText("does not answer at present").waitFor();
  await provider.comeBack();
  await signIn(page, "zoe");
  await connected(page);
  await provider.leave();
  await page.getByText("Your sign-in ended on").waitFor();
  await page.getByRole("alert").getByText("does not answer at present").waitFor();
  await provider.comeBack();
  await connected(page);
  await page.getByText("Your sign-in ended on").waitFor({ state: "detached" });
});

test("the end of a sign-in is told ahead and covers nothing, and what was typed outlives it", async (t) => {
  const { open } = await house(t, { seconds: 5, renews: false, expected: /status of 401|WebSocket/ });
  const page = await open("/#/order?hero=1");
  await signIn(page, "ada");
  await page.getByText("Your sign-in ends on").waitFor();
  await button(page, "New hero").click();
  await page.getByLabel("Name").fill("Nova");
  await page.getByLabel("Planet").fill("Vega");
  const dialog = page.getByRole("dialog");
  await page.getByText("Your sign-in ended on").waitFor();
  await page.locator('.connection[data-state="closed"]').getByText("sign-in ended").waitFor();
  await button(dialog, "Create").click();
  await dialog.getByText("Your sign-in ended on").waitFor();
  await accessible(page, "the end in a dialog");
  const [tab] = await Promise.all([page.context().waitForEvent("page"), button(dialog, "Sign in again").click()]);
  if (!tab.isClosed()) await tab.waitForEvent("close").catch(() => assert.ok(tab.isClosed()));
  await dialog.getByText("Your sign-in ended on").waitFor({ state: "detached" });
  await connected(page);
  await button(dialog, "Create").click();
  await page.waitForURL(/hero=2/);
});

test("where site data is blocked people sign in all the same", async (t) => {
  const { pages, open } = await house(t);
  await pages.context.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage"]) {
      const refuse = () => {
        throw new DOMException(`The document is sandboxed: ${name}`, "SecurityError");
      };
      Object.defineProperty(globalThis, name, { get: refuse });
    }
  });
  const page = await open();
  const [tab] = await Promise.all([pages.context.waitForEvent("page"), button(page, "Sign in").click()]);
  await identify(tab, "zoe");
  await connected(page);
});
