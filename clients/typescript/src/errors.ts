import type { Problem } from "./types.js";

/** The gateway refused a command, and said why. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(readonly problem: Problem) {
    super(problem.detail);
  }

  /** The last part of the problem's type: `already-finished`. */
  get slug(): string {
    return slugOf(this.problem);
  }
}

/** Too many commands wait for their answers; this one was not taken. */
export class OutboxFull extends Error {
  override readonly name = "OutboxFull";

  constructor(bound: number) {
    super(`${bound} commands wait for their answers already`);
  }
}

/** The client was closed before the answer came. */
export class Closed extends Error {
  override readonly name = "Closed";

  constructor() {
    super("the client was closed before the answer came");
  }
}

export const slugOf = ({ type }: Problem): string => type.slice(type.lastIndexOf("/") + 1);
