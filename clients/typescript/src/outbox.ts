// Commands that wait for their answers.

import { after, pause, type Backoff } from "./backoff.js";
import { GaveUp, OutboxFull, ProblemError, slugOf } from "./errors.js";
import type { Command, Frame } from "./types.js";
import { bounded, type CallOptions } from "./waiting.js";

/** What answers a command. */
export type Answer = Frame<"reply"> | Frame<"error"> | Frame<"pong">;

/** A command that waits. */
export interface Waiting {
  readonly id: number;
  readonly command: Command;
  readonly line: string;
  /** How often it has been given to a socket. After the second time the gateway may have carried it out before. */
  sends: number;
  /** How often the gateway asked to come again later. */
  deferred: number;
  readonly answered: (answer: Answer, repeated: boolean) => void;
  readonly failed: (error: Error) => void;
}

/** Problems after which the same command may be sent again: nothing was changed, or doing it twice does no harm. */
const LATER = new Set(["overloaded", "rate-limited", "draining", "unavailable"]);
/** So often; then the problem is the answer. */
const MAX_DEFERRED = 10;
/** Commands that are deferred together come back one after another, within so many milliseconds. */
const MAX_TURN = 5_000;

/** In the order in which they were given; at the bound, a new one is refused with [`OutboxFull`]. */
export class Outbox {
  #waiting = new Map<number, Waiting>();
  #later = new Set<ReturnType<typeof setTimeout>>();
  #next = 1;

  /** `send` hands a line to the open connection; false when there is none. `changed` hears that others wait than before. */
  constructor(
    readonly bound: number,
    readonly backoff: Backoff | undefined,
    readonly send: (line: string) => boolean,
    readonly changed: () => void,
  ) {}

  get size(): number {
    return this.#waiting.size;
  }

  all(): Waiting[] {
    return [...this.#waiting.values()];
  }

  /** Throws when there is no room. */
  room(): void {
    if (this.#waiting.size >= this.bound) throw new OutboxFull(this.bound);
  }

  /** Gives a command out and waits for its answer. A problem may be a good answer to a command that was repeated. */
  ask<Reply>(command: Command, options: CallOptions, excuse?: (error: Frame<"error">) => Reply | undefined): Promise<Reply> {
    return bounded(options, (resolve, reject) => {
      this.room();
      const id = this.#next++;
      const answered: Waiting["answered"] = (answer, repeated) => {
        if (answer.type !== "error") return resolve(answer as unknown as Reply);
        const excused = repeated ? excuse?.(answer) : undefined;
        if (excused === undefined) reject(new ProblemError(answer.problem));
        else resolve(excused);
      };
      const waiting: Waiting = { id, command, line: JSON.stringify({ ...command, id }), sends: 0, deferred: 0, answered, failed: reject };
      this.#waiting.set(id, waiting);
      this.#send(waiting);
      this.changed();
      return () => {
        this.#waiting.delete(id);
        this.changed();
        return waiting.sends > 0;
      };
    });
  }

  /** A connection takes commands: what waits goes out, again if need be. */
  begin(): void {
    this.#hurry();
    for (const waiting of this.all()) this.#send(waiting);
  }

  /** An answer has come; the gateway may ask to come again later. */
  settle(answer: Answer): void {
    const waiting = typeof answer.id === "number" ? this.#waiting.get(answer.id) : undefined;
    if (!waiting) return;
    if (answer.type === "error" && LATER.has(slugOf(answer.problem)) && waiting.deferred < MAX_DEFERRED) {
      return this.#defer(waiting, answer.problem.retry_after_ms ?? 0);
    }
    this.#waiting.delete(waiting.id);
    this.changed();
    waiting.answered(answer, waiting.sends > 1);
  }

  /** Gives a command up; returns whether the gateway may have received it. */
  withdraw(id: number): boolean {
    const waiting = this.#waiting.get(id);
    if (!waiting) return false;
    const sent = waiting.sends > 0;
    this.#waiting.delete(id);
    this.changed();
    waiting.failed(new GaveUp("aborted", sent, "the command was withdrawn"));
    return sent;
  }

  /** No command gets an answer any more. */
  fail(error: Error): void {
    this.#hurry();
    const all = this.all();
    this.#waiting.clear();
    for (const { failed } of all) failed(error);
    this.changed();
  }

  #send(waiting: Waiting): void {
    if (this.send(waiting.line)) waiting.sends += 1;
  }

  #defer(waiting: Waiting, asked: number): void {
    // One after another: if all came back at once, most would be too fast again.
    const turn = Math.min(asked * this.#later.size, MAX_TURN);
    const wait = asked + turn + pause(waiting.deferred, this.backoff);
    waiting.deferred += 1;
    const timer = after(wait, () => {
      this.#later.delete(timer);
      // Its caller may have given it up.
      if (this.#waiting.has(waiting.id)) this.#send(waiting);
    });
    this.#later.add(timer);
  }

  /** What is deferred waits no longer. */
  #hurry(): void {
    for (const timer of this.#later) clearTimeout(timer);
    this.#later.clear();
  }
}
