import { defaultBackoff, LONGEST, type Backoff } from "./backoff.js";
import { invalid } from "./errors.js";
import type { Keeper } from "./keeper.js";
import type { TokenProvider } from "./rest.js";
import type { CallOptions } from "./waiting.js";

export interface Options {
  /** Where the gateway is: `http://127.0.0.1:8080`, or `https://example.org/galley` under a path. */
  url: string | URL;
  /** Whose orders; without it those of the token's hero, or else the connection is staff's. */
  heroId?: number | undefined;
  /** Where the token comes from, with `GALLEY_AUTH=jwt`. Asked for anew at each connection, and before the token of an open one expires. */
  token?: TokenProvider | undefined;
  /** The language of problems and of the messages of orders, such as `fr`. The default: the browser's, or English. */
  lang?: string | undefined;
  /** Where placements wait for their answers; the default lives as long as the program. */
  keeper?: Keeper;
  /** The class of sockets where there is no global `WebSocket`: that of the package `ws`. */
  webSocket?: unknown;
  backoff?: Backoff;
  /** How many milliseconds a call waits that names no `timeout`. The default: a command as long as it takes, a REST call ten seconds. */
  timeout?: number | undefined;
  /** The most commands that wait for their answers; beyond, a command is refused with `OutboxFull`. */
  maxWaiting?: number;
  /** The most ended orders that are remembered; beyond, the oldest are forgotten. */
  maxEnded?: number;
}

/** How an order is placed. */
export interface PlaceOptions extends CallOptions {
  /** Names the span of the click (W3C Trace Context). */
  traceparent?: string;
  /** The idempotency key, for placing again what was given up: the same key orders once. `newKey()` makes one. */
  key?: string;
}

/** Throws when the client could not work with these. */
export function checked(options: Options): Options {
  const { heroId, token, timeout, backoff = defaultBackoff, maxWaiting = 1, maxEnded = 1 } = options;
  const wrong = (name: string, value: unknown, wanted: string) => invalid(`${name}: ${String(value)} is not ${wanted}`);
  if (heroId !== undefined && !(Number.isSafeInteger(heroId) && heroId > 0)) throw wrong("heroId", heroId, "the id of a hero");
  if (token !== undefined && typeof token !== "function") throw invalid("token: it is not a function that returns the token");
  if (timeout !== undefined && !(timeout >= 0)) throw wrong("timeout", timeout, "a number of milliseconds");
  // Without a pause a gateway that is away would be asked without end.
  if (![backoff.base, backoff.cap].every((wait) => wait > 0 && wait <= LONGEST)) throw invalid("backoff: base and cap are numbers of milliseconds above 0");
  if (!(maxWaiting >= 1)) throw wrong("maxWaiting", maxWaiting, "1 or more");
  if (!(maxEnded >= 0)) throw wrong("maxEnded", maxEnded, "0 or more");
  return options;
}
