import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./generated/rest.js";

/** Where a token comes from: it is asked for anew for each request and each connection. */
export type TokenProvider = () => string | undefined | Promise<string | undefined>;

/** REST, typed by the gateway's own document: `rest.GET("/heroes/{id}", { params: { path: { id } } })`. */
export type Rest = Client<paths>;

/** An answer may take so long; then the call rejects with a `TimeoutError`. What was asked may have been done or not. */
const ANSWER = 10_000;

/** The address of a path of the gateway, which may itself lie under a path. */
export function at(url: string, path: string): URL {
  const address = new URL(url);
  address.pathname = address.pathname.replace(/\/$/, "") + path;
  return address;
}

/** REST at this address. */
export function rest(url: string, token?: TokenProvider): Rest {
  // The default would be asked for at import, before anybody can put another in its place.
  const client = createClient<paths>({ baseUrl: url.replace(/\/$/, ""), fetch: timed });
  if (token) {
    client.use({
      async onRequest({ request }) {
        const present = await token();
        if (present) request.headers.set("Authorization", `Bearer ${present}`);
        return request;
      },
    });
  }
  return client;
}

function timed(request: Request): Promise<Response> {
  return fetch(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER)]) });
}
