// Pages of apps that have installed the package, built as Vite builds them.

import { cp, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";
import { client, freshApp } from "./fresh_app.js";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
export const FRAMEWORKS = ["react", "vue", "svelte"];

/** The page in the README of the client. */
export async function documented() {
  const text = await readFile(join(client, "README.md"), "utf8");
  return /```html\n([^]*?)```/.exec(text)[1];
}

/** Builds them; the one of the README is `index.html`. Returns how to answer a request for a file. */
export async function builtPages(atEnd, index) {
  const app = await freshApp(atEnd, "react", "react-dom", "vue", "svelte");
  await cp(join(import.meta.dirname, "pages"), join(app, "pages"), { recursive: true });
  await writeFile(join(app, "index.html"), index);
  const names = ["index.html"];
  for (const name of ["behaviours", ...FRAMEWORKS]) {
    await writeFile(join(app, `${name}.html`), `<!doctype html><div id="app"></div><script type="module" src="./pages/${name}.js"></script>`);
    names.push(`${name}.html`);
  }
  const options = { target: "esnext", minify: false, rollupOptions: { input: names.map((name) => join(app, name)) } };
  await build({ root: app, configFile: false, logLevel: "error", plugins: [svelte({ configFile: false })], build: options });
  return (incoming, response) => {
    const { pathname } = new URL(incoming.url, "http://127.0.0.1");
    readFile(join(app, "dist", pathname)).then(
      (file) => response.writeHead(200, { "Content-Type": TYPES[extname(pathname)] ?? "text/plain" }).end(file),
      () => response.writeHead(404).end(),
    );
  };
}
