// The dashboard below a path, behind nginx with TLS, as docs/proxies.md configures it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { browser, useBrowser, watched } from "./browser.js";
import { connected, order } from "./dashboard.js";
import { endings } from "./endings.js";
import { start } from "./galley.js";

useBrowser();

test("the dashboard works below a path behind nginx with TLS, on a phone and on a desk", async (t) => {
  const atEnd = endings(t);
  const galley = await start("--no-seed", "--processing-delay", "0s", "--base-path", "/galley", "--trusted-proxies", "127.0.0.1");
  atEnd(() => galley.stop());
  const hero = await galley.ask("POST", "/galley/heroes", { name: "Zoé", planet: "Earth" });
  await galley.ask("POST", "/galley/meals", { name: "Soup", price: 9.5, origin_planet: "Mars" });
  const url = await nginx(atEnd, new URL(galley.url).host);
  for (const [number, width] of [360, 1440].entries()) {
    const pages = await watched(browser, url, { locale: "en-GB", ignoreHTTPSErrors: true, viewport: { width, height: 900 } });
    const page = await pages.context.newPage();
    await page.goto(`${url}/galley`);
    assert.equal(page.url(), `${url}/galley/`);
    await page.goto(`${url}/galley/#/order?hero=${hero.id}`);
    await connected(page);
    await page.getByRole("button", { name: "Order Soup" }).click();
    await order(page, number + 1, "COMPLETED").waitFor();
    assert.ok(await page.locator(".brand img").evaluate((icon) => icon.naturalWidth > 0), "the icon is there");
    if (process.env.GALLEY_PICTURES) await page.screenshot({ path: join(process.env.GALLEY_PICTURES, `behind-nginx-${width}.png`) });
    await pages.close();
  }
});

/** Starts nginx before a gateway with the configuration of the document, and returns its address. */
async function nginx(atEnd, gateway) {
  const folder = await mkdtemp(join(tmpdir(), "galley-nginx-"));
  atEnd(() => rm(folder, { recursive: true }));
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", join(folder, "tls.key")];
  execFileSync("openssl", ["req", "-x509", ...key, "-out", join(folder, "tls.pem"), ...subject], { stdio: "ignore" });
  const document = await readFile(resolve(import.meta.dirname, "../../docs/proxies.md"), "utf8");
  const [plain, tls] = [await freePort(), await freePort()];
  const files = "http { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;";
  const text = document
    .split("```nginx\n")[1]
    .split("```")[0]
    .replace("http {", files)
    .replaceAll(/127\.0\.0\.1:808[12]/g, gateway)
    .replace("listen 80;", `listen 127.0.0.1:${plain};`)
    .replace("listen 443 ", `listen 127.0.0.1:${tls} `)
    .replaceAll("/etc/galley", folder);
  await writeFile(join(folder, "nginx.conf"), text);
  const alone = "daemon off; master_process off; pid nginx.pid; error_log stderr crit;";
  const path = `${process.env.PATH}:/usr/sbin`;
  const child = spawn("nginx", ["-p", folder, "-c", "nginx.conf", "-g", alone], { cwd: folder, env: { PATH: path }, stdio: "inherit" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  atEnd(() => (child.kill("SIGKILL"), ended));
  for (;;) {
    assert.equal(child.exitCode, null, "nginx is there");
    const answer = await fetch(`http://127.0.0.1:${plain}/galley/healthz`).catch(() => undefined);
    if (answer?.ok) return `https://localhost:${tls}`;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
