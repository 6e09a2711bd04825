import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { kitchen } from "./stage.js";

test("the types are what the gateway says about itself", async (t) => {
  const { galley } = await kitchen(t, "0s");
  const script = join(import.meta.dirname, "../scripts/generate.js");
  await promisify(execFile)(process.execPath, [script, "--check", galley.url]);
});
