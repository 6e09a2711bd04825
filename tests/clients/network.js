// A network between a client and a gateway, whose faults the test commands.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { promisify } from "node:util";

/** Bytes on their way in one direction; beyond, the sender waits. */
const MAX_UNDERWAY = 64 * 1024;

/** Opens a port that leads to this address. With `secured` it speaks TLS to clients. */
export async function network(target, secured) {
  const { hostname, port } = new URL(target);
  const links = new Set();
  const faults = {
    /** Each byte takes so many milliseconds. */
    delay: 0,
    /** So many bytes pass in a second, in each direction. */
    rate: Infinity,
    /** Connections are refused. */
    refusing: false,
    /** After so many bytes to the client a connection breaks off: one entry for each connection to come. */
    cuts: [],
  };
  let opened = 0;

  function link(client) {
    opened += 1;
    if (faults.refusing) return client.destroy();
    const gateway = net.connect(Number(port), hostname);
    const state = { left: faults.cuts.shift() ?? Infinity, deaf: false, mute: false };
    const end = () => {
      links.delete(made);
      client.destroy();
      gateway.destroy();
    };
    const made = { state, end };
    links.add(made);
    for (const socket of [client, gateway]) socket.on("error", end).on("close", end);
    carry(client, gateway, faults, (chunk) => !state.mute && gateway.write(chunk));
    carry(gateway, client, faults, (chunk) => {
      if (state.deaf) return;
      client.write(chunk.subarray(0, state.left));
      state.left -= chunk.length;
      if (state.left <= 0) end();
    });
  }

  const server = secured ? tls.createServer(secured, link) : net.createServer(link);
  server.on("tlsClientError", () => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(faults, {
    url: `${secured ? "https" : "http"}://${secured ? "localhost" : "127.0.0.1"}:${server.address().port}`,

    /** How many connections clients have opened. */
    opened: () => opened,

    /** Breaks off every connection. */
    cut: () => links.forEach(({ end }) => end()),

    /** From now on these connections stay, and nothing comes through. */
    swallow: () => links.forEach(({ state }) => Object.assign(state, { deaf: true, mute: true })),

    /** From now on nothing comes through to the clients of these connections. */
    deafen: () => links.forEach(({ state }) => Object.assign(state, { deaf: true })),

    async close() {
      links.forEach(({ end }) => end());
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Hands on what one side says, late and slowly. */
function carry(from, to, faults, hand) {
  let free = 0;
  let underway = 0;
  from.on("data", (chunk) => {
    const now = performance.now();
    free = Math.max(free, now) + (chunk.length / faults.rate) * 1_000;
    underway += chunk.length;
    if (underway > MAX_UNDERWAY) from.pause();
    const arrive = () => {
      underway -= chunk.length;
      from.resume();
      if (!to.destroyed) hand(chunk);
    };
    const wait = free - now + faults.delay;
    if (wait > 0) setTimeout(arrive, wait);
    else arrive();
  });
}

/** A certificate for `localhost`, signed by an authority that nobody else trusts: what a server needs, and the file of the authority. */
export async function authority() {
  const folder = await mkdtemp(join(tmpdir(), "galley-authority-"));
  const openssl = (...words) => promisify(execFile)("openssl", words, { cwd: folder });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Galley's test authority");
  const own = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  await openssl("req", "-x509", ...own, ...key, "-keyout", "server.key", "-out", "server.pem", "-days", "2", ...names);
  const [cert, secret] = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(folder, name))));
  return { ca: join(folder, "ca.pem"), secured: { cert, key: secret }, remove: () => rm(folder, { recursive: true }) };
}
