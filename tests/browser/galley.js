// A running `galley` of a test's own: a free port, an empty folder, its own data.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const program = resolve(import.meta.dirname, "../../target/debug/galley");

/** Starts it with these arguments, and resolves when it listens. */
export async function start(...options) {
  if (!existsSync(program)) throw new Error(`there is no ${program}: run \`cargo build --workspace --bins\` first`);
  const folder = await mkdtemp(join(tmpdir(), "galley-browser-"));
  let running = await run(folder, ["--listen", "127.0.0.1:0", ...options]);
  const { url } = running;
  return {
    url,

    /** Ends it as a power cut would. */
    kill: () => running.end("SIGKILL"),

    /** Stops it in its tracks: connections stay, and nothing is answered. */
    freeze() {
      running.signal("SIGSTOP");
      // The signal takes a moment, in which an answer may still go out.
      while (!running.isStopped());
    },

    /** Lets it go on where it was stopped. */
    thaw: () => running.signal("SIGCONT"),

    /** Asks it to leave, and waits for that. */
    leave: () => running.end("SIGTERM"),

    /** Starts it anew at the same address on the same data, if need be with other options. */
    async restart(...others) {
      running = await run(folder, ["--listen", new URL(url).host, ...(others.length > 0 ? others : options)]);
    },

    /** While it is away, something changes on the same data, through a gateway at another address. */
    async meanwhile(change) {
      const other = await run(folder, ["--listen", "127.0.0.1:0", ...options]);
      await change((method, path, body) => ask(other.url, method, path, body));
      await other.end("SIGTERM");
    },

    async stop() {
      const [code, said] = await running.end("SIGTERM");
      await rm(folder, { recursive: true });
      if (code !== 0 && code !== "SIGKILL") throw new Error(`galley ended with ${code}:\n${said}`);
    },

    /** Asks with JSON, and expects a good answer. */
    ask: (method, path, body, token) => ask(url, method, path, body, token),
  };
}

async function ask(url, method, path, body, token) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** Every order there is, as the service tells, the newest first. */
export async function stored(galley) {
  const all = [];
  for (let cursor = ""; cursor !== undefined; ) {
    const page = await galley.ask("GET", `/orders?limit=100${cursor}`);
    all.push(...page.items.map(({ hero, meal, ...order }) => order));
    cursor = page.next_cursor === null ? undefined : `&cursor=${page.next_cursor}`;
  }
  return all;
}

/** Whether a thread does not run; one that has ended does not. */
function isStopped(stat) {
  try {
    return readFileSync(stat, "utf8").includes(") T ");
  } catch {
    return true;
  }
}

/** Resolves when it listens. */
async function run(folder, options) {
  const env = { PATH: process.env.PATH };
  const child = spawn(program, options, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal)));
  const said = [];
  const url = await new Promise((found, failed) => {
    createInterface(child.stderr).on("line", (line) => said.push(line));
    createInterface(child.stdout).on("line", (line) => found(line.replace("listening on ", "")));
    ended.then((code) => failed(new Error(`galley ended with ${code}:\n${said.join("\n")}`)));
  });
  return {
    url,

    signal: (signal) => child.kill(signal),

    isStopped: () => readdirSync(`/proc/${child.pid}/task`).every((thread) => isStopped(`/proc/${child.pid}/task/${thread}/stat`)),

    async end(signal) {
      // One that was frozen would not hear it.
      child.kill("SIGCONT");
      child.kill(signal);
      return [await ended, said.join("\n")];
    },
  };
}
