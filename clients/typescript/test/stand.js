// What the behaviours stand on: a gateway that they kill and freeze, one with tokens, a proxy that puts the gateway under a path,
// and a stand-in that closes sockets with any code.

import { createServer, request } from "node:http";
import { WebSocketServer } from "ws";
import { start } from "../../../tests/browser/galley.js";
import { guarded, mint } from "../../../tests/browser/token.js";

const json = (response, body, status = 200, kind = "application/json") => response.writeHead(status, { "Content-Type": kind }).end(JSON.stringify(body));

/** A gateway with tokens, which every runtime may share. */
export async function guardedGateway(atEnd, ...options) {
  const galley = await start(...guarded, ...options);
  atEnd(() => galley.stop());
  return galley;
}

/** Resolves with the address at which a runtime finds everything. `page` answers what nothing else does: a browser comes from there. */
export async function stand(atEnd, tokens, page = (_, response) => response.writeHead(404).end()) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(async () => {
    server.closeAllConnections();
    server.close();
  });
  const address = `http://127.0.0.1:${server.address().port}`;
  const galley = await start("--no-seed", "--processing-delay", "0s", "--drain", "500ms", "--allowed-origins", address);
  atEnd(() => galley.stop());
  const { id: mealId } = await galley.ask("POST", "/meals", { name: "Soup", price: 9.5, origin_planet: "Mars" });
  const guardedUrl = tokens?.url ?? (await guardedGateway(atEnd, "--allowed-origins", address)).url;
  const stage = { gateway: galley.url, guarded: guardedUrl, proxied: `${address}/apps/galley`, closing: `${address}/closing`, mealId };

  server.on("request", async (incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url, address);
    const word = pathname.slice(1);
    if (word === "stage") return json(response, stage);
    if (word === "token") return json(response, mint({ role: "hero", sub: "1" }, Number(searchParams.get("seconds"))));
    if (["kill", "restart", "leave", "freeze", "thaw"].includes(word)) return json(response, (await galley[word]()) ?? true);
    if (pathname.startsWith("/closing/")) return json(response, { type: "/problems/hero-not-found", title: "gone", status: 404, detail: "gone" }, 404, "application/problem+json");
    if (!pathname.startsWith("/apps/galley/")) return page(incoming, response);
    incoming.pipe(forward(incoming, galley.url)).once("response", (answer) => answer.pipe(response.writeHead(answer.statusCode, answer.headers)));
  });
  const closing = new WebSocketServer({ noServer: true, handleProtocols: () => "galley.v1" });
  server.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => {});
    const code = /^\/closing\/(\d+)\/ws/.exec(incoming.url)?.[1];
    if (code) return closing.handleUpgrade(incoming, socket, head, (opened) => opened.close(Number(code)));
    const onward = forward(incoming, galley.url).once("upgrade", (answer, other, first) => {
      const lines = answer.rawHeaders.map((text, index) => text + (index % 2 ? "\r\n" : ": "));
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      socket.write(first);
      other.on("error", () => socket.destroy()).pipe(socket).pipe(other);
    });
    onward.once("response", () => socket.destroy()).end();
  });
  return address;
}

/** The same request to the gateway, without the path of the proxy. */
function forward({ url, method, headers }, gateway) {
  const onward = request(gateway + url.replace("/apps/galley", ""), { method, headers });
  return onward.on("error", () => onward.destroy());
}
