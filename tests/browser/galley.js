// A running `galley` of a test's own: a free port, an empty folder, its own data.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const program = resolve(import.meta.dirname, "../../target/debug/galley");

/** Starts it with these arguments, and resolves when it listens. */
export async function start(...options) {
  if (!existsSync(program)) throw new Error(`there is no ${program}: run \`cargo build --workspace --bins\` first`);
  const folder = await mkdtemp(join(tmpdir(), "galley-browser-"));
  const env = { PATH: process.env.PATH };
  const child = spawn(program, ["--listen", "127.0.0.1:0", ...options], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const said = [];
  const url = await new Promise((found, failed) => {
    createInterface(child.stderr).on("line", (line) => said.push(line));
    createInterface(child.stdout).on("line", (line) => found(line.replace("listening on ", "")));
    ended.then((code) => failed(new Error(`galley ended with ${code}:\n${said.join("\n")}`)));
  });
  return {
    url,

    async stop() {
      child.kill("SIGTERM");
      const code = await ended;
      await rm(folder, { recursive: true });
      if (code !== 0) throw new Error(`galley ended with ${code}:\n${said.join("\n")}`);
    },

    /** Asks with JSON, and expects a good answer. */
    async ask(method, path, body) {
      const options = body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
      const answer = await fetch(url + path, { method, ...options });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
      return answer.status === 204 ? undefined : answer.json();
    },
  };
}
