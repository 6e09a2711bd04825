// Signing in without an identity provider: with a token that somebody pastes. And tickets, for what can set no header.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { browser, useBrowser, watched } from "./browser.js";
import { accessible, connected, order } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { guarded, mint } from "./token.js";

useBrowser();

const ISSUER = "https://login.example";
const hero = { role: "hero", sub: "1", iss: ISSUER };
const staff = { role: "staff", sub: "ada", iss: ISSUER };

/** A gateway that asks for tokens, with one hero and one meal. */
async function house(t, options = {}) {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--drain", "0s", "--processing-delay", "0s", ...guarded, "--jwt-issuer", ISSUER);
  atEnd(() => galley.stop());
  const ask = (method, path, body) => galley.ask(method, path, body, mint(staff, 3_600));
  await ask("POST", "/heroes", { name: "Zoé", planet: "Earth" });
  await ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars" });
  const pages = await watched(browser, galley.url, { locale: "en-GB", expected: /status of 401|WebSocket/, ...options });
  atEnd(() => pages.close());
  const open = async (address = "/") => {
    const page = await pages.context.newPage();
    page.setDefaultTimeout(10_000);
    await page.goto(address);
    return page;
  };
  return { galley, ask, open };
}

async function paste(page, token) {
  await page.getByLabel(/^(Token|Jeton)$/).fill(token);
  await page.getByRole("button", { name: /^(Use it|Utiliser)$/ }).click();
}

const forged = (claims) => {
  const [head, body] = mint(claims, 3_600).split(".");
  return `${head}.${body}.${createHmac("sha256", "another secret").update(`${head}.${body}`).digest("base64url")}`;
};

/** Tokens that will not do, and what is told about them in both languages. */
const mistakes = [
  ["my-password-1", "That is no token", "Ce n'est pas un jeton"],
  [`${"é".repeat(9)}.b.c`, "That is no token", "Ce n'est pas un jeton"],
  [mint(staff, -60), "This token ended on", "Ce jeton a expiré le"],
  [mint({ ...staff, nbf: 4e9 }, 3_600), "good only from", "n'est valable qu'à partir du"],
  [mint({ ...staff, nbf: 1e300 }, 3_600), "good only from –", "n'est valable qu'à partir du –"],
  [mint({ ...staff, iss: "https://elsewhere" }, 3_600), "another issuer, \"https://elsewhere\"", "un autre émetteur"],
  [mint({ ...staff, aud: "other" }, 3_600), "another service, \"other\"", "un autre service"],
  [mint({ ...staff, role: "admin" }, 3_600), "no role of Galley, but \"admin\"", "aucun rôle de Galley"],
  [mint({ ...hero, sub: "Zoé" }, 3_600), "no hero, but \"Zoé\"", "aucun héros"],
  [mint(staff, 90_000), "lives too long", "vit trop longtemps"],
  [forged(staff), "The gateway does not take this token.", "La passerelle n'accepte pas ce jeton."],
];

test("each mistake with a token is told, with the kind of token that would do", async (t) => {
  const { open } = await house(t);
  const page = await open();
  const sent = [];
  page.on("request", (request) => sent.push(request.headers()["authorization"]));
  for (const [token, english, french] of mistakes) {
    await paste(page, token);
    const alert = page.getByRole("alert").filter({ hasText: english });
    await alert.getByText(`A good one is signed with one of HS256, has the issuer ${ISSUER}`).waitFor();
    assert.equal((await alert.innerText()).includes("ignature"), false);
    await page.getByRole("button", { name: /^FR/ }).click();
    await page.getByRole("alert").filter({ hasText: french }).getByText("Un bon jeton est signé").waitFor();
    await page.getByRole("button", { name: /^EN/ }).click();
  }
  await accessible(page, "a mistake is told");
  // What the browser keeps may be anything, too.
  await page.evaluate(() => {
    localStorage.setItem("galley.sign-in", '{"token":"é.b.c"}');
    sessionStorage.setItem("galley.sign-in.pending", "{");
  });
  await page.goto("/?code=a&state=b");
  await page.getByRole("alert").getByText("not begun here").waitFor();
  await page.getByLabel("Token").waitFor();
  assert.equal(sent.some((header) => header?.includes("password")), false, "what is no token is sent to nobody");
});

test("a token is pasted once for all tabs, leads a hero to its own page, and is forgotten with the sign-out", async (t) => {
  const { open } = await house(t, { viewport: { width: 360, height: 740 } });
  const page = await open("/#/kitchen");
  await paste(page, `Bearer ${mint(hero, 3_600)}\n`);
  await page.getByText("Only staff sees the whole feed").waitFor();
  await page.goto("/#/order");
  await page.getByRole("button", { name: "Order Soup" }).click();
  await order(page, 1, "COMPLETED").waitFor();
  for (const words of ["Zoé", "hero"]) await page.getByRole("group", { name: "Signed in" }).getByText(words, { exact: true }).waitFor();
  const other = await open();
  await connected(other);
  await accessible(other, "a hero on a phone");
  await page.reload();
  await connected(page);
  await other.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You signed out in another tab.").waitFor();
  await other.reload();
  await other.getByLabel("Token").waitFor();
  // Somebody else signs in: the other tab follows.
  await paste(other, mint(staff, 3_600));
  await page.getByRole("group", { name: "Signed in" }).getByText("ada").waitFor();
  await page.getByRole("link", { name: "Operations" }).waitFor();
});

test("the end of a token is told ahead, and the connection goes on with the next one", async (t) => {
  const { open } = await house(t);
  const page = await open("/#/console");
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket));
  await paste(page, mint(staff, 30));
  await connected(page);
  await page.getByText("Your sign-in ends on").waitFor();
  await page.getByLabel("Command", { exact: true }).fill("typed before");
  const covered = await page.getByLabel("Command", { exact: true }).evaluate((field) => {
    const { x, y, width, height } = field.getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2) !== field;
  });
  assert.equal(covered, false, "the page can still be worked with");
  await paste(page, mint(staff, 3_600));
  await page.locator('[data-direction="received"]', { hasText: '"authenticated":true' }).waitFor();
  await page.getByLabel("Token").waitFor({ state: "detached" });
  assert.equal(await page.getByLabel("Command", { exact: true }).inputValue(), "typed before");
  assert.deepEqual([sockets.length, sockets[0].isClosed()], [1, false]);
  assert.equal(await page.locator('[data-direction="sent"]', { hasText: "auth" }).count(), 0, "the console shows no token");
});

test("an EventSource and a WebSocket, which set no header, open with a ticket, and with none that was used", async (t) => {
  const { open } = await house(t);
  const page = await open();
  const seen = await page.evaluate(async (token) => {
    const ticket = async () => {
      const answer = await fetch("/tickets", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
      return (await answer.json()).ticket;
    };
    const events = (ticket) =>
      new Promise((resolve) => {
        const source = new EventSource(`/heroes/1/events?ticket=${ticket}`);
        source.addEventListener("welcome", ({ data }) => resolve(JSON.parse(data).hero.name));
        source.addEventListener("error", () => resolve(source.readyState === EventSource.CLOSED && "closed"));
      });
    const socket = (ticket) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`/ws?ticket=${ticket}`);
        socket.addEventListener("message", ({ data }) => JSON.parse(data).type === "welcome" && resolve(JSON.parse(data).hero.name));
        socket.addEventListener("close", ({ code }) => resolve(code));
      });
    const seen = [];
    for (const stream of [events, socket]) {
      const once = await ticket();
      seen.push(await stream(once), await stream(once));
    }
    return seen;
  }, mint(hero, 3_600));
  assert.deepEqual(seen, ["Zoé", "closed", "Zoé", 4401]);
});
