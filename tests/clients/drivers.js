// The programs that obey the suite, one for each client.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const root = resolve(import.meta.dirname, "../..");
const programs = {
  typescript: [process.execPath, "clients/typescript/test/driver.js"],
  rust: ["target/debug/examples/driver"],
  python: ["target/tools/python/bin/python", "clients/python/tests/driver.py"],
};

const wanted = process.env.GALLEY_CLIENTS?.split(",") ?? Object.keys(programs);

/** The clients that are driven. */
export const languages = wanted.map((language) => {
  if (!(language in programs)) throw new Error(`there is no client "${language}"`);
  return language;
});

/** Starts the driver of a client. `ca` names authorities to trust. */
export function driver(language, { ca } = {}) {
  const [program, ...arguments_] = programs[language].map((path) => resolve(root, path));
  if (!existsSync(program)) throw new Error(`there is no ${program}: ./test installs it`);
  const env = { PATH: process.env.PATH, PYTHONDONTWRITEBYTECODE: "1", ...(ca ? { NODE_EXTRA_CA_CERTS: ca } : {}) };
  const child = spawn(program, arguments_, { env, stdio: ["pipe", "pipe", "pipe"] });
  const said = [];
  createInterface(child.stderr).on("line", (line) => said.push(line));
  return new Driver(child, said);
}

class Driver {
  #child;
  #said;
  #next = 1;
  #asked = new Map();
  #ended;
  #wake = () => {};
  /** How many events have been looked at. */
  #past = 0;
  /** Everything that happened, with the moment `at` which it did, in milliseconds since 1970. */
  events = [];

  constructor(child, said) {
    this.#child = child;
    this.#said = said;
    child.stdin.on("error", () => {});
    createInterface(child.stdout).on("line", (line) => this.#hear(JSON.parse(line)));
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        for (const { reject } of this.#asked.values()) reject(new Error(`the driver ended with ${code ?? signal}:\n${said.join("\n")}`));
        this.#asked.clear();
        resolve(code ?? signal);
      });
    });
  }

  /** Asks for something; resolves with the answer, rejects with an error that has its `code`. */
  ask(what, more = {}) {
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    // Whoever waits for it later hears of a failure then.
    answer.catch(() => {});
    this.#child.stdin.write(`${JSON.stringify({ id, do: what, ...more })}\n`);
    return answer;
  }

  /** Resolves with the next event that satisfies the condition; those before it are passed over. */
  async next(wanted) {
    for (;;) {
      for (; this.#past < this.events.length; this.#past++) {
        if (wanted(this.events[this.#past])) return this.events[this.#past++];
      }
      await this.#news();
    }
  }

  /** Resolves with the next state of this name. */
  state(name) {
    return this.next((event) => event.event === "state" && event.name === name);
  }

  /** Resolves with the next frame of this type. */
  async frame(type) {
    return (await this.next(({ event, frame }) => event === "frame" && frame.type === type)).frame;
  }

  /** Resolves with the picture of the orders as soon as it satisfies the condition. */
  async picture(satisfied) {
    for (;;) {
      const seen = this.events.length;
      const orders = await this.ask("orders");
      if (satisfied(orders)) return orders;
      while (this.events.length === seen) await this.#news();
    }
  }

  /** The names of the states so far, each with its cause. */
  get states() {
    return this.events.filter(({ event }) => event === "state").map(({ name, cause }) => (cause ? `${name}: ${cause}` : name));
  }

  /** Ends it as a power cut would. */
  kill() {
    this.#child.kill("SIGKILL");
    return this.#ended;
  }

  /** Lets it end; a driver that failed says so. */
  async end() {
    this.#child.stdin.end();
    const code = await this.#ended;
    if (code !== 0 && code !== "SIGKILL") throw new Error(`the driver ended with ${code}:\n${this.#said.join("\n")}`);
  }

  #hear(message) {
    if (message.event) {
      this.events.push(message);
      this.#wake();
      return;
    }
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if ("error" in message) asked.reject(Object.assign(new Error(`the client says ${message.error}`), { code: message.error }));
    else asked.resolve(message.ok);
  }

  #news() {
    return new Promise((resolve) => {
      const before = this.#wake;
      this.#wake = () => {
        before();
        this.#wake = () => {};
        resolve();
      };
    });
  }
}
