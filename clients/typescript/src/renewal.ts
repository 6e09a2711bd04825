// The token of an open connection, renewed before it expires.

import { after } from "./backoff.js";
import type { TokenProvider } from "./rest.js";

/** The id of the `auth` command; those of the outbox are numbers. */
const ID = "renewal";

export class Renewal {
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The token that the gateway has. */
  #shown: string | undefined;
  #answered: ((taken: boolean) => void) | undefined;

  /** `send` hands a line to the open connection; false when there is none. */
  constructor(
    readonly provider: TokenProvider | undefined,
    readonly send: (line: string) => boolean,
  ) {}

  /** The token for a new connection. */
  async first(): Promise<string | undefined> {
    return (this.#shown = await this.provider?.());
  }

  /** The token expires after so many milliseconds. A new one is asked for when a quarter to a half of them has passed: not all at once. */
  expiring(afterMs: number): void {
    clearTimeout(this.#timer);
    // Without a new token the gateway closes with 4401, and the connection comes back as after any loss.
    this.#timer = after(afterMs * (0.25 + Math.random() * 0.25), () => void this.renew().catch(() => {}));
  }

  /** Shows the gateway the provider's token if it has another one; resolves with whether the gateway took it. */
  async renew(): Promise<boolean> {
    const token = await this.provider?.();
    if (!token || token === this.#shown || !this.send(JSON.stringify({ type: "auth", id: ID, token }))) return false;
    this.#shown = token;
    this.#settle(false);
    return new Promise((resolve) => (this.#answered = resolve));
  }

  /** An answer of the gateway, to this or to another command. */
  hear({ id, type }: { id?: unknown; type: string }): void {
    if (id === ID) this.#settle(type === "reply");
  }

  /** The connection is gone. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#settle(false);
  }

  #settle(taken: boolean): void {
    this.#answered?.(taken);
    this.#answered = undefined;
  }
}
