// Commands that wait for their answers.

import { OutboxFull } from "./errors.js";
import type { Command, Frame } from "./types.js";

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

/** In the order in which they were given; at the bound, a new one is refused with [`OutboxFull`]. */
export class Outbox {
  #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor(readonly bound: number) {}

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes a command. The error is thrown, so that nothing has been kept anywhere for a command that is not taken. */
  add(command: Command, answered: Waiting["answered"], failed: Waiting["failed"]): Waiting {
    this.room();
    const id = this.#next++;
    const waiting = { id, command, line: JSON.stringify({ ...command, id }), sends: 0, deferred: 0, answered, failed };
    this.#waiting.set(id, waiting);
    return waiting;
  }

  /** Throws when there is no room. */
  room(): void {
    if (this.#waiting.size >= this.bound) throw new OutboxFull(this.bound);
  }

  get(id: unknown): Waiting | undefined {
    return typeof id === "number" ? this.#waiting.get(id) : undefined;
  }

  /** The command needs no answer any more. */
  remove(id: number): void {
    this.#waiting.delete(id);
  }

  all(): Waiting[] {
    return [...this.#waiting.values()];
  }
}
