// Where a connection stands, and why.

/** Why there is no connection. */
export type ReasonCode =
  /** Nobody answers at the address. */
  | "unreachable"
  /** The connection broke off. */
  | "lost"
  /** Nothing came for too long. */
  | "silent"
  /** The gateway restarts. */
  | "restart"
  /** The gateway is too busy, or leaves. */
  | "busy"
  /** The token is missing or has expired. */
  | "unauthorized"
  /** Not allowed here. */
  | "forbidden"
  /** There is no such hero. */
  | "hero-not-found"
  /** The gateway closed the connection for good. */
  | "refused"
  /** The client was closed. */
  | "closed";

/** Why, for programs and for people. */
export interface Reason {
  code: ReasonCode;
  detail: string;
}

/** Where the connection stands. */
export type State =
  | { name: "idle" }
  | { name: "connecting"; attempt: number }
  | { name: "connected"; since: number }
  /** The connection is there, and the gateway has not answered for a few seconds. Commands are still sent, and wait. */
  | { name: "unresponsive"; since: number }
  /** `until` is when it is tried again, in milliseconds since 1970. */
  | { name: "waiting"; reason: Reason; attempt: number; until: number }
  | { name: "closed"; reason: Reason };

/** Whether there is a connection that takes commands. */
export const isOpen = (state: State): state is Extract<State, { since: number }> =>
  state.name === "connected" || state.name === "unresponsive";
