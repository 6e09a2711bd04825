// The state of a connection, and the reason for its end.

/** The reason why there is no connection, as a code. */
export type ReasonCode =
  /** No program answers at the address. */
  | "unreachable"
  /** The connection broke off. */
  | "lost"
  /** The gateway did not answer in time. */
  | "silent"
  /** The gateway restarts. */
  | "restart"
  /** The gateway has no room, or shuts down. */
  | "busy"
  /** The token is missing or has expired. */
  | "unauthorized"
  /** The token or the page is not allowed here. */
  | "forbidden"
  /** The hero does not exist. */
  | "hero-not-found"
  /** The gateway closed the connection for good. */
  | "refused"
  /** The program closed the client. */
  | "closed";

/** The reason why there is no connection: a code for programs, a sentence for people. */
export interface Reason {
  code: ReasonCode;
  detail: string;
}

/** The state of a connection. */
export type State =
  | { name: "idle" }
  | { name: "connecting"; attempt: number }
  | { name: "connected"; since: number }
  /** The connection is open, but the gateway has not answered for three seconds. Commands are still sent, and wait. */
  | { name: "unresponsive"; since: number }
  /** `until` is the time of the next attempt, in milliseconds since 1970. */
  | { name: "waiting"; reason: Reason; attempt: number; until: number }
  | { name: "closed"; reason: Reason };

/** Returns whether the connection is open and takes commands. */
export const isOpen = (state: State): state is Extract<State, { since: number }> =>
  state.name === "connected" || state.name === "unresponsive";
