// Commands for a shell that do what the Console does. A token is named as a variable; it is never written.

import { objectIn } from "./frames";
import { gateway } from "./gateway";

/** A word of the shell, whatever is in it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const TOKEN = ' -H "Authorization: Bearer $GALLEY_TOKEN"';
const flags = (guarded: boolean): string => (guarded ? TOKEN : "");

/** A socket like this one; with a line, one that says it and goes on listening. */
export function websocat(heroId: number | undefined, guarded: boolean, line?: string): string {
  const address = `${gateway.replace(/^http/, "ws")}/ws${heroId === undefined ? "" : `?hero_id=${heroId}`}`;
  const call = `websocat${line === undefined ? "" : " -n"}${flags(guarded)} ${quoted(address)}`;
  return line === undefined ? call : `printf '%s\\n' ${quoted(line)} | ${call}`;
}

/** The frames of this socket as an event stream. */
export const curlEvents = (heroId: number | undefined, guarded: boolean): string =>
  `curl -N${flags(guarded)} ${quoted(`${gateway}${heroId === undefined ? "" : `/heroes/${heroId}`}/events`)}`;

/** The same command over REST; nothing if there is none. */
export function curl(heroId: number | undefined, guarded: boolean, line: string): string | undefined {
  const request = requestOf(heroId, objectIn(line) ?? wordsOf(line));
  if (!request) return undefined;
  const { method = "GET", path, query = {}, body, headers = {} } = request;
  const pairs = Object.entries(query).flatMap(([name, values]) => [values ?? []].flat().map((value) => [name, String(value)]));
  const search = new URLSearchParams(pairs).toString();
  const parts = [
    ...(method === "GET" ? [] : [`-X ${method}`]),
    ...Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`-H ${quoted(`${name}: ${String(value)}`)}`])),
    ...(body ? [`-H 'Content-Type: application/json' --data-raw ${quoted(JSON.stringify(body))}`] : []),
    ...(path === "/events" ? ["-N"] : []),
  ];
  return `curl${flags(guarded)} ${[...parts, quoted(`${gateway}${path}${search && `?${search}`}`)].join(" ")}`;
}

interface Request {
  method?: string;
  path: string;
  query?: Record<string, unknown>;
  headers?: Record<string, unknown>;
  body?: object;
}

function requestOf(heroId: number | undefined, command: Record<string, unknown> | undefined): Request | undefined {
  if (!command) return undefined;
  const { type, meal_id, order_id, key, reason, traceparent, status, limit, cursor, max_rate, hero_id } = command;
  const order = `/orders/${encodeURIComponent(String(order_id))}`;
  switch (type) {
    case "place":
      return { method: "POST", path: "/orders", headers: { "Idempotency-Key": key, traceparent }, body: { hero_id: heroId, meal_id } };
    case "cancel":
      return { method: "POST", path: `${order}/cancel`, ...(reason === undefined ? {} : { body: { reason } }) };
    case "delete":
      return { method: "DELETE", path: order };
    case "get":
      return { path: order };
    case "orders":
      return { path: "/orders", query: { hero_id: heroId, status, limit, cursor } };
    case "menu":
      return { path: "/meals", query: { cursor } };
    case "watch":
      return { path: "/events", query: { status, hero_id, max_rate, cursor } };
    default:
      return undefined;
  }
}

/** The command that plain words stand for, as far as REST has it. */
function wordsOf(line: string): Record<string, unknown> | undefined {
  const [, word = "", id, reason] = /^\s*(\w+)(?:\s+(\d+)(?:\s+(.*\S))?)?\s*$/s.exec(line) ?? [];
  const type = word.toLowerCase();
  if (type === "order" && id) return { type: "place", meal_id: Number(id) };
  if (["cancel", "delete", "get"].includes(type) && id) return { type, order_id: Number(id), reason };
  return ["menu", "orders", "watch"].includes(type) && !id ? { type } : undefined;
}
