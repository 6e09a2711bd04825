// Heroes who order over REST and wait on their WebSockets: place → COMPLETED, measured by k6.

import { check, fail } from "k6";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";
import { WebSocket } from "k6/websockets";

const URL = __ENV.GALLEY_URL || "http://127.0.0.1:8080";
const TOKEN = __ENV.GALLEY_TOKEN;
const headers = { "Content-Type": "application/json", ...(TOKEN ? { Authorization: `Bearer ${TOKEN}` } : {}) };
const ENDS = ["COMPLETED", "CANCELLED"];
/** Orders of a hero, one after another. */
const ORDERS = 3;
/** An order that has not ended after so many milliseconds is a failure. */
const PATIENCE = 30_000;

const placeToCompleted = new Trend("place_to_completed", true);
const notCompleted = new Counter("not_completed");

export const options = {
  vus: 10,
  duration: "1m",
  thresholds: { place_to_completed: ["p(99)<8000"], not_completed: ["count==0"], checks: ["rate==1"] },
};

/** The meal that everybody orders. */
export function setup() {
  const answer = http.get(`${URL}/meals?limit=1`, { headers });
  return { meal: answer.json("items.0.id") };
}

export default function ({ meal }) {
  const hero = http.post(`${URL}/heroes`, JSON.stringify({ name: "k6", planet: "Load" }), { headers }).json("id");
  if (!hero) fail("the gateway made no hero");
  const socket = new WebSocket(`${URL.replace(/^http/, "ws")}/ws?hero_id=${hero}`, null, { headers });
  let left = ORDERS;
  let order = 0;
  let began = 0;
  let late = 0;

  function place() {
    began = Date.now();
    const answer = http.post(`${URL}/orders`, JSON.stringify({ hero_id: hero, meal_id: meal }), { headers });
    if (!check(answer, { "the order was taken": ({ status }) => status === 202 })) return socket.close();
    // Frames that came meanwhile are handled after this.
    order = Number(answer.json("id"));
    late = setTimeout(() => end("late"), PATIENCE);
  }

  function end(status) {
    clearTimeout(late);
    if (status === "COMPLETED") placeToCompleted.add(Date.now() - began);
    else notCompleted.add(1);
    left -= 1;
    if (left > 0) place();
    else socket.close();
  }

  socket.addEventListener("open", place);
  socket.addEventListener("error", () => notCompleted.add(1));
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(String(data));
    // After an overload several orders come in one `resync`.
    const orders = frame.type === "order" ? [frame.order] : (frame.orders ?? []);
    const own = orders.find(({ id, status }) => id === order && ENDS.includes(status));
    if (own) end(own.status);
  });
}
