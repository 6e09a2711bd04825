// Stands in for k6 in Node: its modules, as far as clients/recipes/k6.js uses them, each with the behaviour of k6's documentation.

import { spawnSync } from "node:child_process";
import { register } from "node:module";

/** Every value by the name of its metric. */
const measured = {};
const add = (name, value) => (measured[name] ??= []).push(value);

/** A request that blocks, as those of k6 do. */
function request(method, url, body, { headers = {} } = {}) {
  const fields = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const { stdout } = spawnSync("curl", ["-sS", "-g", "-X", method, "-w", "\n%{http_code}", ...fields, ...(body ? ["--data-raw", body] : []), url], { encoding: "utf8" });
  const [text, status] = stdout.split(/\n(?=\d+$)/);
  const json = (path) => path.split(".").reduce((value, name) => value?.[name], JSON.parse(text));
  return { status: Number(status), body: text, json };
}

class Metric {
  constructor(name) {
    this.add = (value) => add(name, value);
  }
}

/** k6 sets headers, which the WebSocket of Node cannot: it takes the token as a sub-protocol. */
class Socket extends WebSocket {
  constructor(url, _protocols, { headers: { Authorization } = {} } = {}) {
    super(url, Authorization ? ["galley.v1", Authorization.replace("Bearer ", "bearer.")] : ["galley.v1"]);
  }
}

function check(value, conditions) {
  const verdicts = Object.values(conditions).map((condition) => condition(value));
  verdicts.forEach((verdict) => add("checks", verdict));
  return verdicts.every(Boolean);
}

function fail(reason) {
  throw new Error(reason);
}

globalThis.__ENV = process.env;
globalThis.k6 = {
  measured,
  "k6": { check, fail },
  "k6/http": { default: { get: (url, more) => request("GET", url, undefined, more), post: (url, body, more) => request("POST", url, body, more) } },
  "k6/metrics": { Counter: Metric, Trend: Metric },
  "k6/websockets": { WebSocket: Socket },
};

const hooks = `export async function resolve(name, context, next) {
  return /^k6(\\/|$)/.test(name) ? { url: "k6:" + name, shortCircuit: true } : next(name, context);
}
export async function load(url, context, next) {
  if (!url.startsWith("k6:")) return next(url, url.endsWith("/k6.js") ? { ...context, format: "module" } : context);
  const names = { "k6": ["check", "fail"], "k6/http": ["default"], "k6/metrics": ["Counter", "Trend"], "k6/websockets": ["WebSocket"] }[url.slice(3)];
  const lines = names.map((name) => (name === "default" ? "export default" : "export const " + name + " =") + " globalThis.k6[" + JSON.stringify(url.slice(3)) + "]." + name + ";");
  return { format: "module", source: lines.join("\\n"), shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
