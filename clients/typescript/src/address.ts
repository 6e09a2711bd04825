import { invalid } from "./errors.js";

/** The address of a gateway, which may lie under a path. Throws at once when it is none. */
export function gatewayAddress(url: string | URL): URL {
  // A message that may be logged shows no password.
  const shown = `url: "${String(url).replace(/\/\/.*@/, "//…@")}"`;
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw invalid(`${shown} is no address; it is to be like http://host:port or https://host/path`);
  }
  const { protocol, username, password, search, hash } = address;
  // `localhost:8080` is an address, too: of the protocol `localhost:`.
  if (!["http:", "https:"].includes(protocol)) throw invalid(`${shown} does not begin with http:// or https://`);
  if (username || password) throw invalid(`${shown} has a user or a password, which browsers refuse; use token`);
  if (search || hash) throw invalid(`${shown} has a query or a fragment`);
  return address;
}

/** The address of a path of the gateway. */
export function at(gateway: URL, path: string): URL {
  const address = new URL(gateway);
  address.pathname = address.pathname.replace(/\/+$/, "") + path;
  return address;
}
