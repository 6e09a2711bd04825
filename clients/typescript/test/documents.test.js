// The documents take what Galley itself answers, in a validator that many clients use: ajv, whose numbers are those of JavaScript and
// whose patterns are compiled with the flag `u`.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import formats from "ajv-formats";
import WebSocket from "ws";
import { kitchen } from "./stage.js";

/** A validator of every schema of a document, by its JSON pointer. */
function validator(Draft, document) {
  // Annotations of the documents, such as `example`, are no keywords of JSON Schema.
  const ajv = new Draft({ strict: false, allErrors: true });
  formats(ajv);
  ajv.addSchema(document, "document");
  for (const name of Object.keys(document.components.schemas)) ajv.getSchema(`document#/components/schemas/${name}`);
  const compiled = new Map();
  return (pointer, value) => {
    if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: `document#${pointer}` }));
    const fits = compiled.get(pointer);
    assert.ok(fits(value), `${pointer}: ${JSON.stringify(value)}: ${ajv.errorsText(fits.errors)}`);
  };
}

const escaped = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1");

/** Every price that a meal may have up to 10.00, and some at the other end. */
function* prices() {
  for (let hundredths = 0; hundredths <= 1_000; hundredths += 1) yield hundredths / 100;
  for (const price of [19.99, 1_234.56, 4_503_599.63, 90_071_992.57, 999_999_999.01, 999_999_999.99, 1_000_000_000]) yield price;
}

test("every answer fits the schema of its operation", async (t) => {
  const { galley, hero, meal } = await kitchen(t, "1h");
  const document = await galley.ask("GET", "/openapi.json");
  const check = validator(Ajv2020, document);
  const ask = async (method, operation, path, body, headers = {}) => {
    const json = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
    const answer = await fetch(galley.url + path, { method, ...json });
    const kind = answer.headers.get("content-type");
    const value = await answer.json();
    const pointer = ["paths", operation, method.toLowerCase(), "responses", String(answer.status), "content", kind, "schema"];
    check(`/${pointer.map(escaped).join("/")}`, value);
    return value;
  };
  for (const price of [0, 0.01, 0.07, 0.29, 0.57, 1.1, 4.35, 8.2, 19.99, 1_000_000_000]) {
    const made = await ask("POST", "/meals", "/meals", { name: `At ${price}`, price, origin_planet: "Mars" });
    await ask("GET", "/meals/{id}", `/meals/${made.id}`);
    await ask("PUT", "/meals/{id}", `/meals/${made.id}`, { name: "Again", price, origin_planet: "Mars" });
  }
  const placed = await ask("POST", "/orders", "/orders", { hero_id: hero.id, meal_id: meal.id });
  for (const [operation, path] of [
    ["/heroes", "/heroes"], ["/heroes/{id}", `/heroes/${hero.id}`], ["/meals", "/meals?limit=3"], ["/orders", "/orders"],
    ["/orders/{id}", `/orders/${placed.id}`], ["/heroes/{id}/orders", `/heroes/${hero.id}/orders`], ["/healthz", "/healthz"],
    ["/readyz", "/readyz"], ["/problems/{slug}", "/problems/unavailable"], ["/orders/{id}", "/orders/999"], ["/meals", "/meals?limit=0"],
  ]) await ask("GET", operation, path);
  await ask("POST", "/meals", "/meals", { name: "", price: 0.001 });
  await ask("POST", "/orders/{id}/cancel", `/orders/${placed.id}/cancel`, { reason: "why not" });
  await ask("POST", "/orders/{id}/cancel", `/orders/${placed.id}/cancel`, {});
});

test("every price that Galley can tell fits both documents", async (t) => {
  const { galley, meal } = await kitchen(t, "1h");
  const [openapi, asyncapi] = await Promise.all(["/openapi.json", "/asyncapi.json"].map((path) => galley.ask("GET", path)));
  const [rest, socket] = [validator(Ajv2020, openapi), validator(Ajv, asyncapi)];
  for (const price of prices()) {
    rest("/components/schemas/Meal", { ...meal, price });
    socket("/components/messages/reply/payload", { type: "reply", items: [{ ...meal, price }], next_cursor: null });
  }
});

test("every frame fits the schema of its message", async (t) => {
  const { galley, hero, meal } = await kitchen(t, "0s");
  const check = validator(Ajv, await galley.ask("GET", "/asyncapi.json"));
  const frames = [];
  for (const query of [`?hero_id=${hero.id}`, ""]) {
    const socket = new WebSocket(`${galley.url.replace("http", "ws")}/ws${query}`);
    const answered = new Promise((resolve) => {
      socket.on("message", (data) => {
        frames.push(JSON.parse(data));
        if (frames.at(-1).type === "pong") resolve();
      });
    });
    await once(socket, "open");
    for (const command of ["menu", "orders", "help", "watch", "nonsense", `order ${meal.id}`, "get 1", "delete 999"]) socket.send(command);
    socket.send('{"type":"ping","id":"last"}');
    await answered;
    socket.close();
    await once(socket, "close");
  }
  for (const frame of frames) check(`/components/messages/${frame.type}/payload`, frame);
  for (const kind of ["welcome", "reply", "error", "pong"]) assert.ok(frames.some(({ type }) => type === kind), `a ${kind} was seen`);
});
