// The package as others get it: packed, and installed into an app of its own from the archive alone.

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

export const run = promisify(execFile);
export const client = resolve(import.meta.dirname, "..");
const installed = resolve(client, "../node_modules");

/** Makes one. What else it needs comes from the packages that are installed for the tests. */
export async function freshApp(atEnd, ...packages) {
  const app = await mkdtemp(join(tmpdir(), "galley-app-"));
  atEnd(() => rm(app, { recursive: true }));
  const { stdout } = await run("npm", ["pack", "--silent", "--pack-destination", app], { cwd: client });
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", `./${stdout.trim()}`], { cwd: app });
  for (const name of packages) {
    const link = join(app, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(installed, name), link);
  }
  await cp(join(import.meta.dirname, "behaviour"), join(app, "behaviour"), { recursive: true });
  return app;
}
