// A real Chromium, watched: whatever a page complains about, and whatever it asks of anybody else, fails the test.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What Chromium writes to the console about requests and sockets whose gateway was killed, is away, or leaves. */
export const OUTAGE = /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)|WebSocket connection/;

/** The browser of a file of tests, after `useBrowser`. */
export let browser;

/** Starts one browser for all tests of a file, and closes it after them. */
export function useBrowser() {
  before(async () => {
    browser = await launch();
  });
  after(() => browser.close());
}

/** Starts it. */
export async function launch() {
  const executablePath = places.find(existsSync);
  assert(executablePath, `there is no Chromium at ${places.join(", ")}`);
  return chromium.launch({ executablePath, args: flags });
}

/** Opens pages that may speak to this address and `others` only. What is `expected` of the console is no complaint. */
export async function watched(browser, url, { expected, others = [], ...options } = {}) {
  const context = await browser.newContext({ baseURL: url, ...options });
  const complaints = [];
  // Violations of the content security policy come as console errors, too; this names them.
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`content security policy: ${violatedDirective} ${blockedURI}`);
    });
  });
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected?.test(message.text())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  context.on("weberror", (error) => complaints.push(`uncaught: ${error.error()}`));
  context.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  const asked = (address) => {
    const { protocol, host } = new URL(address);
    if (!["data:", "blob:"].includes(protocol) && ![url, ...others].some((known) => host === new URL(known).host)) complaints.push(`asked ${address}`);
  };
  context.on("request", (request) => asked(request.url()));
  context.on("page", (page) => page.on("websocket", (socket) => asked(socket.url())));
  return {
    context,

    /** Closes everything; nothing may have been wrong. */
    async close() {
      await context.close();
      assert.deepEqual(complaints, []);
    },
  };
}
