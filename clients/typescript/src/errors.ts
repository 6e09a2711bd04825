import type { ReasonCode, Reason } from "./state.js";
import type { Problem } from "./types.js";

/**
 * Why a call failed, for programs. The code of a problem is the last part of its type: `already-finished`. The code of a
 * connection that has ended for good is that of its reason: `hero-not-found`.
 */
export type ErrorCode =
  | ReasonCode
  /** The caller's signal ended the wait. */
  | "aborted"
  /** The caller's time was over. */
  | "timeout"
  /** Too many commands wait for their answers. */
  | "outbox-full"
  /** The client cannot work with an option; the message names it. */
  | "invalid-option"
  /** There is no class of sockets here. */
  | "no-web-socket"
  /** Something that is not Galley answered. */
  | "foreign-answer"
  /** A listener or a keeper threw. */
  | "callback"
  | (string & {});

/** What every call of this package fails with. */
export class GalleyError extends Error {
  override name = "GalleyError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The gateway refused a command, and said why. */
export class ProblemError extends GalleyError {
  override name = "ProblemError";

  constructor(readonly problem: Problem) {
    super(slugOf(problem), problem.detail);
  }

  /** The last part of the problem's type: `already-finished`. */
  get slug(): string {
    return this.code;
  }
}

/** Too many commands wait for their answers; this one was not taken. */
export class OutboxFull extends GalleyError {
  override name = "OutboxFull";

  constructor(bound: number) {
    super("outbox-full", `${bound} commands wait for their answers already`);
  }
}

/** The client is closed; it was perhaps closed before the answer came. */
export class Closed extends GalleyError {
  override name = "Closed";

  constructor() {
    super("closed", "the client was closed");
  }
}

/** The caller does not wait any longer: code `aborted` or `timeout`. */
export class GaveUp extends GalleyError {
  /** `sent`: the gateway may have received the call, and may have carried it out. */
  constructor(
    override readonly code: "aborted" | "timeout",
    readonly sent: boolean,
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
    this.name = code === "aborted" ? "AbortError" : "TimeoutError";
  }
}

/** The error of a connection that has ended for good. */
export const ended = ({ code, detail }: Reason): GalleyError => (code === "closed" ? new Closed() : new GalleyError(code, `${code}: ${detail}`));

/** The error of an option. */
export const invalid = (what: string): GalleyError => new GalleyError("invalid-option", what);

export const slugOf = ({ type }: Problem): string => type.slice(type.lastIndexOf("/") + 1);
