// Every scenario with every client, many at once: they wait more than they compute.

import { describe, it } from "node:test";
import { languages } from "./drivers.js";
import { scenarios } from "./scenario.js";
import { stage } from "./stage.js";
// Those that take longest come first.
import "./tokens.js";
import "./kills.js";
import "./networks.js";
import "./commands.js";

describe("clients", { concurrency: 10 }, () => {
  for (const [name, body] of scenarios) {
    for (const language of languages) it(`${language}: ${name}`, { timeout: 60_000 }, (test) => body(stage(test, language)));
  }
});
