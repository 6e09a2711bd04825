// The Console as an inspector: frames, filters, forms, completion, history, commands for a shell, recordings.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { browser, useBrowser, watched } from "./browser.js";
import { accessible, connected, kitchen, visit } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";
import { guarded, mint } from "./token.js";

useBrowser();

const line = (page) => page.getByRole("combobox", { name: "Command", exact: true });
const frame = (page, direction, text) => page.locator(`[data-direction="${direction}"]`, { hasText: text });
const button = (page, name) => page.getByRole("button", { name, exact: true });
const detail = (page) => page.getByRole("region", { name: "Frame" });

/** Says a line, and waits until the list has it. */
async function say(page, text) {
  await line(page).fill(text);
  await line(page).press("Enter");
  await frame(page, "sent", text).last().waitFor();
}

test("a frame is one line, and opens as a tree with what the gateway says of its type", async (t) => {
  const { galley, open, pages } = await kitchen(t, browser, "0s", { theme: "dark" });
  const page = await open("#/console?hero=1");
  await say(page, "menu");
  await say(page, "ordr 1");
  const reply = frame(page, "received", '"items"');
  await reply.click();
  assert.deepEqual(await reply.evaluate(({ clientHeight, ariaSelected }) => [clientHeight, ariaSelected]), [28, "true"]);
  await detail(page).getByText("A command was carried out.").waitFor();
  assert.equal(await detail(page).getByText("Soup").count(), 0, "what is folded is not drawn");
  for (const member of ["items", "0", "ingredients"]) await detail(page).locator("summary", { hasText: new RegExp(`^${member}:`) }).click();
  await detail(page).getByText('"leek"').waitFor();
  await accessible(page, "an opened frame");
  const link = await detail(page).getByRole("link").getAttribute("href");
  const about = await pages.context.newPage();
  await about.goto(link);
  assert.equal(await about.locator(":target h3").innerText(), "reply");

  // A command and a frame of the gateway may have one type.
  await galley.ask("PATCH", "/meals/1", { price: 2 });
  for (const [direction, meaning] of [["received", /changed/], ["sent", /List the meals/]]) {
    await say(page, '{"type":"menu"}');
    await frame(page, direction, '{"type":"menu"').first().click();
    await detail(page).getByText(meaning).first().waitFor();
  }

  // The same by the keyboard alone.
  await page.getByRole("listbox", { name: "Frames" }).focus();
  await page.keyboard.press("End");
  await detail(page).getByRole("heading", { name: "reply" }).waitFor();
  await page.keyboard.press("Home");
  await detail(page).getByRole("heading", { name: "welcome" }).waitFor();
  await page.keyboard.press("Escape");
  await detail(page).waitFor({ state: "detached" });
});

test("frames are filtered by type, direction and text; how many are hidden is told, and the address keeps it", async (t) => {
  const { open } = await kitchen(t, browser, "1h");
  const page = await open("#/console?hero=1");
  for (const text of ["menu", "help", "order 1", '{"type":"ping","id":"Nine"}']) await say(page, text);
  // A gateway may also tell of the meal that was made before.
  const count = async (shown) => {
    await page.getByText(new RegExp(`^${shown} frames? · \\d+ hidden by the filter$`)).waitFor();
    return (await page.locator(".told").innerText()).match(/\d+/g).reduce((sum, number) => sum + Number(number), 0);
  };
  await page.getByRole("searchbox").fill("nine");
  assert.ok((await count(2)) >= 11);
  await page.getByLabel("Direction").selectOption("received");
  await count(1);
  await page.getByRole("searchbox").fill("");
  await page.getByText("Types", { exact: true }).click();
  await page.getByRole("checkbox", { name: /^reply/ }).check();
  const before = await count(3);
  await accessible(page, "types");
  assert.match(page.url(), /direction=received/);
  assert.match(page.url(), /type=reply/);
  await line(page).fill("ping");
  await line(page).press("Enter");
  await page.waitForFunction((before) => document.querySelector(".told").innerText.match(/\d+/g).reduce((sum, number) => sum + Number(number), 0) >= before + 2, before);
  await count(3);
  await page.reload();
  await count(0);
  await page.getByText("The filter hides every frame").waitFor();
});

test("each command of the role has a form from the schema, a command of a later gateway too", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const page = await open("#/console?hero=1", (page) =>
    page.route("**/asyncapi.json", async (route) => {
      const document = await (await route.fetch()).json();
      const { messages, schemas } = document.components;
      document.operations.command.messages.unshift({ $ref: "#/channels/socket/messages/season" });
      messages.season = { name: "season", summary: "Season an order.", payload: { $ref: "#/components/schemas/SeasonCommand" }, "x-senders": ["hero"] };
      const properties = { type: { const: "season" }, order_id: { $ref: "#/components/schemas/OrderId" }, grams: { type: "number", maximum: 2.5 }, hot: { type: "boolean" }, spices: { type: "array", items: { type: "object" } } };
      schemas.SeasonCommand = { type: "object", required: ["type", "order_id"], properties };
      await route.fulfill({ json: document });
    }),
  );
  const form = page.getByRole("form", { name: "Form" });
  const command = form.getByLabel("Command", { exact: true });
  await button(page, "Form").click();
  assert.deepEqual((await command.locator("option").allInnerTexts()).toSorted(), ["auth", "cancel", "delete", "get", "help", "menu", "orders", "ping", "place", "season"]);
  await form.getByLabel("order_id (required)").fill("1");
  await form.getByLabel("grams").fill("3");
  await form.getByLabel("spices").fill("[{");
  await button(form, "Send").click();
  for (const told of ["At most 2.5.", "JSON is wanted."]) await form.getByText(told).waitFor();
  assert.equal(await form.getByLabel("grams").evaluate((field) => field === document.activeElement && field.ariaInvalid), "true");
  await accessible(page, "a form with mistakes");
  await form.getByLabel("grams").fill("2,5");
  await form.getByLabel("spices").fill('[{"salt":true}]');
  await form.getByLabel("hot").selectOption("false");
  await button(form, "Send").click();
  await frame(page, "sent", '{"type":"season","order_id":1,"grams":2.5,"hot":false,"spices":[{"salt":true}]}').waitFor();

  // What the gateway has is checked by its own bounds, and taken by it.
  await command.selectOption("place");
  for (const [typed, told] of [["", "Please fill in this field."], ["soup", "A whole number is wanted."], ["0", "At least 1."]]) {
    await form.getByLabel("meal_id (required)").fill(typed);
    await button(form, "Send").click();
    await form.getByText(told).waitFor();
  }
  assert.equal((await galley.ask("GET", "/orders")).items.length, 0, "nothing was sent");
  await form.getByLabel("meal_id (required)").fill("1");
  await form.getByLabel("id", { exact: true }).fill("7");
  await button(form, "Send").click();
  await frame(page, "received", '{"type":"reply","id":7,"order":{"id":1').waitFor();
  await command.selectOption("orders");
  for (const status of ["PENDING", "IN_PROGRESS"]) await form.getByLabel(status).check();
  await form.getByLabel("id", { exact: true }).fill("seven");
  await button(form, "Send").click();
  await frame(page, "received", '{"type":"reply","id":"seven","items":[{"id":1').waitFor();

  // Staff has other commands.
  await visit(page, "#/console");
  const listed = await command.locator("option").allInnerTexts();
  assert.deepEqual(["watch", "place", "season"].map((name) => listed.includes(name)), [true, false, false]);
});

test("the command line completes words, frames, meals by name and the orders of the session", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  for (let at = 0; at < 110; at++) await galley.ask("POST", "/meals", { name: `Meal ${at}`, price: 1, origin_planet: "Io" });
  const late = await galley.ask("POST", "/meals", { name: "Crème Brûlée", price: 1, origin_planet: "Io" });
  const page = await open("#/console?hero=1");
  const offered = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
  const typed = () => line(page).inputValue();
  await line(page).fill("ord");
  assert.deepEqual(await offered.locator("code").allInnerTexts(), ["order <meal>", "orders"]);
  assert.equal(await line(page).getAttribute("aria-expanded"), "true");
  await line(page).press("ArrowDown");
  assert.equal(await line(page).getAttribute("aria-activedescendant"), await offered.first().getAttribute("id"));
  await line(page).press("Enter");
  assert.equal(await typed(), "order ");
  await offered.filter({ hasText: "Soup" }).waitFor();
  await accessible(page, "suggestions");
  // The service searches by name, however long the menu is.
  await line(page).fill("order brul");
  await offered.filter({ hasText: "Crème Brûlée" }).click();
  assert.equal(await typed(), `order ${late.id}`);
  await line(page).press("Enter");
  await frame(page, "received", '"status":"PENDING"').first().waitFor();
  await line(page).fill("cancel ");
  await offered.filter({ hasText: "Crème Brûlée" }).filter({ hasText: /^1/ }).waitFor();
  await line(page).press("Escape");
  assert.equal(await line(page).getAttribute("aria-expanded"), "false");
  await line(page).fill('{"type":"get","order_id":');
  await line(page).press("ArrowDown");
  await line(page).press("Tab");
  assert.equal(await typed(), '{"type":"get","order_id":1}');
  await line(page).fill("{");
  await offered.filter({ hasText: '{"type":"place","meal_id":' }).waitFor();
  // Without a choice, Enter sends what is typed.
  await say(page, "orders");
  await line(page).fill("");
  await line(page).press("Alt+ArrowDown");
  await offered.filter({ hasText: "ping" }).first().waitFor();
});

for (const blocked of [false, true]) {
  test(`the arrows bring back what was said${blocked ? ", where the browser keeps nothing" : ", also in another life of the page"}, and never a token`, async (t) => {
    const { open } = await kitchen(t, browser, "0s");
    const block = () => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("blocked", "SecurityError"); } });
    const page = await open("#/console?hero=1", (page) => (blocked ? page.addInitScript(block) : undefined));
    const token = mint({ role: "staff" }, 60);
    for (const text of ["help", "ping"]) await say(page, text);
    for (const secret of [`auth ${token}`, `  AUTH\tplain-secret`, `{"type":"auth","token":"${token}"}`, `{"type":"auth","t\\u006fken":"plain-secret"}`, `{"type":"auth","token":"plain-secret`]) {
      await line(page).fill(secret);
      await line(page).press("Enter");
    }
    await frame(page, "sent", "•••").nth(4).waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /plain-secret|eyJ/);
    if (!blocked) {
      await page.reload();
      await connected(page);
      assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...localStorage })), /plain-secret|eyJ/);
    }
    await line(page).fill("being typed");
    await line(page).press("Escape");
    for (const [key, text] of [["ArrowUp", "ping"], ["ArrowUp", "help"], ["ArrowUp", "help"], ["ArrowDown", "ping"], ["ArrowDown", "being typed"]]) {
      await line(page).press(key);
      assert.equal(await line(page).inputValue(), text, key);
    }
    if (blocked) return;
    // The storage may be full of anything, and does not grow without bound.
    await page.evaluate(() => localStorage.setItem("galley.console.history", JSON.stringify([7, null, ...Array.from({ length: 300 }, (_, at) => `line ${at}`)])));
    await say(page, "help");
    assert.equal(await page.evaluate(() => JSON.parse(localStorage.getItem("galley.console.history")).length), 100);
    await page.evaluate(() => localStorage.setItem("galley.console.history", "{"));
    await page.reload();
    await say(page, "help");
  });
}

test("a frame is copied as a command for a shell that does the same, quoted, with the token as a variable", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--processing-delay", "1h", ...guarded);
  atEnd(() => galley.stop());
  const staff = mint({ role: "staff" }, 3_600);
  await galley.ask("POST", "/heroes", { name: "Zoé", planet: "Earth" }, staff);
  await galley.ask("POST", "/meals", { name: "Soup", price: 1, origin_planet: "Io" }, staff);
  const pages = await watched(browser, galley.url, { locale: "en-GB", permissions: ["clipboard-read", "clipboard-write"] });
  atEnd(() => pages.close());
  const page = await pages.context.newPage();
  await page.goto("/#/console?hero=1");
  await page.getByLabel("Token").fill(staff);
  await page.getByLabel("Token").press("Enter");
  await connected(page);
  const copied = async (name) => {
    await button(page, name).click();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const path = `${resolve(import.meta.dirname, "../../target/tools/bin")}:${process.env.PATH}`;
  const run = async (command) => {
    assert.ok(command.includes("$GALLEY_TOKEN") && !command.includes("eyJ"), command);
    const { stdout } = await promisify(execFile)("bash", ["-c", command], { env: { PATH: path, GALLEY_TOKEN: staff } });
    return JSON.parse(stdout);
  };
  await say(page, '{"type":"place","meal_id":1,"key":"it\'s $HOME `id`"}');
  await frame(page, "sent", "place").click();
  const order = await run(await copied("Copy as curl"));
  assert.deepEqual([order.id, order.status === "PENDING" || order.status === "IN_PROGRESS"], [1, true], "the same key, the same order");
  assert.equal(await copied("Copy as websocat"), `printf '%s\\n' '{"type":"place","meal_id":1,"key":"it'\\''s $HOME \`id\`"}' | websocat -n -H "Authorization: Bearer $GALLEY_TOKEN" '${galley.url.replace("http", "ws")}/ws?hero_id=1'`);
  await say(page, "cancel 1 it's $HOME `id` \"too\"");
  await frame(page, "sent", "cancel").click();
  const command = await copied("Copy as curl");
  await frame(page, "received", '"status":"CANCELLED"').first().waitFor();
  assert.equal((await run(command)).type, "/problems/already-finished");
  assert.equal((await galley.ask("GET", "/orders/1", undefined, staff)).message, "it's $HOME `id` \"too\"");
  for (const [text, found] of [['{"type":"orders","status":["PENDING","CANCELLED"],"limit":1}', 1], ['{"type":"orders","status":["PENDING"]}', 0], ["get 1", undefined]]) {
    await say(page, text);
    await frame(page, "sent", text).click();
    assert.equal((await run(await copied("Copy as curl"))).items?.length, found, text);
  }
  await say(page, "ping");
  await frame(page, "sent", "ping").click();
  assert.equal(await button(page, "Copy as curl").count(), 0, "REST has no ping");
  await page.locator(".tools summary").click();
  assert.equal(await page.locator(".tools").getByRole("button", { name: "Copy as curl" }).count(), 1);
});

test("a recording is saved, opened in the same inspector, and sent again with its pauses until it is stopped", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const page = await open("#/console?hero=1");
  const choose = (name, text) => page.locator("input[type=file]").setInputFiles({ name, mimeType: "application/x-ndjson", buffer: Buffer.from(text) });
  await say(page, "menu");
  await button(page, "Record").click();
  await say(page, "order 1");
  await line(page).fill(`auth ${mint({ role: "staff" }, 60)}`);
  await line(page).press("Enter");
  await frame(page, "sent", "auth •••").waitFor();
  await frame(page, "received", "IN_PROGRESS").waitFor();
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: /^Stop and save/ }).click()]);
  assert.match(saved.suggestedFilename(), /^galley-frames-.*\.jsonl$/);
  const recorded = await readFile(await saved.path(), "utf8");
  const frames = recorded.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(Object.keys(frames[0]), ["at", "direction", "text"]);
  assert.deepEqual(frames.filter(({ direction }) => direction === "sent").map(({ text }) => text), ["order 1", "auth •••"]);
  assert.doesNotMatch(recorded, /eyJ/);

  for (const [name, text, told] of [["wrong.jsonl", `${recorded}nothing\n`, `see line ${frames.length + 1}`], ["empty.jsonl", "", "see line 1"], ["other.jsonl", '{"at":"never","direction":"sent","text":"ping"}', "see line 1"]]) {
    await choose(name, text);
    await page.locator(".toast", { hasText: told }).last().waitFor();
    await page.locator(".toast button").last().click();
  }
  await choose("mine.jsonl", recorded);
  await page.getByText("Recording: mine.jsonl").waitFor();
  await page.getByText(`${frames.length} frames`, { exact: true }).waitFor();
  await accessible(page, "a recording");
  await frame(page, "received", "IN_PROGRESS").click();
  await button(page, "Back to the live frames").click();

  const at = (seconds) => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString();
  const sent = (seconds, text) => JSON.stringify({ at: at(seconds), direction: "sent", text });
  await choose("slow.jsonl", ["order 1", "ping"].map((text, index) => sent(index, text)).concat(sent(1.2, "auth •••"), sent(60, "order 1"), sent(7_200, "ping")).join("\r\n"));
  const began = Date.now();
  await button(page, "Send its 4 commands again").click();
  await page.getByText("2 of 3 commands sent again").waitFor();
  assert.ok(Date.now() - began >= 1_000, "the pause was kept");
  await accessible(page, "a replay");
  await button(page, "Stop").click();
  for (const told of ["Stopped. Sent again: 2", "Left out: 1."]) await page.locator(".toast", { hasText: told }).waitFor({ state: "attached" });
  assert.equal((await galley.ask("GET", "/orders")).items.length, 2);
  await choose("quick.jsonl", [sent(0, "order 1"), sent(0.1, "ping"), sent(0.2, "ping")].join("\n"));
  await button(page, "Send its 3 commands again").click();
  await page.locator(".toast", { hasText: "Sent again: 3" }).waitFor({ state: "attached" });
  assert.equal((await galley.ask("GET", "/orders")).items.length, 3);
});

test("twenty-five thousand frames and a thousand more a second leave the page smooth, and what is dropped is told", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const page = await open("#/console", (page) =>
    // A gateway that is as fast as this takes a machine of its own; its frames can be played.
    page.addInitScript(() => {
      let next = 1;
      const order = () => ({ id: next++, hero_id: 1, meal_id: 1, status: "COMPLETED", message: "m".repeat(50), reason: null, version: 3 });
      globalThis.WebSocket = class {
        readyState = 1;
        constructor() {
          setTimeout(() => this.#say({ type: "welcome", resume: "fresh", orders: [], help: "" }));
        }
        send(line) {
          if (line === "ping") setInterval(() => Array.from({ length: next < 25_000 ? 1_000 : 100 }, () => this.#say({ type: "feed", orders: [order()] })), 100);
        }
        close() {}
        #say(frame) {
          this.onmessage?.({ data: JSON.stringify(frame) });
        }
      };
    }),
  );
  await line(page).fill("ping");
  await line(page).press("Enter");
  await page.getByText(/older ones dropped/).waitFor();
  const gaps = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const gaps = [];
        let last = performance.now();
        const draw = (now) => {
          gaps.push(now - last);
          last = now;
          if (gaps.length < 150) requestAnimationFrame(draw);
          else resolve(gaps.sort((one, other) => one - other));
        };
        requestAnimationFrame(draw);
      }),
  );
  t.diagnostic(`a frame of the screen every ${gaps[75].toFixed(1)} ms, 95 % within ${gaps[142].toFixed(1)} ms`);
  assert.ok(gaps[75] < 50 && gaps[142] < 200, `${gaps[75]} and ${gaps[142]} ms`);
  assert.ok((await page.locator("[data-direction]").count()) < 80, "only what is in sight is drawn");
  const size = Number(await page.locator("[data-direction]").first().getAttribute("aria-setsize"));
  assert.ok(size > 15_000 && size <= 20_000, `${size} frames are kept`);

  // Held still, nothing moves, and what comes is counted.
  await page.getByRole("main").focus();
  await page.keyboard.press("p");
  await page.getByText(/came meanwhile/).waitFor();
  const shown = await page.locator("[data-direction]").last().getAttribute("id");
  await page.getByText(/[1-9],\d{3} came meanwhile/).waitFor();
  assert.equal(await page.locator("[data-direction]").last().getAttribute("id"), shown);
  await button(page, "Resume").click();
  await page.getByText(/came meanwhile/).waitFor({ state: "detached" });
});
