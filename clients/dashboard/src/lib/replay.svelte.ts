// Sends again what a recording sent, with the pauses that it had.

import type { Recorded } from "./recording";

/** The most commands of one replay, and the longest that it may take; what lies beyond is left out, and its number is told. */
const MAX_COMMANDS = 1_000;
const MAX_SPAN = 3_600_000;

export type Outcome = "done" | "stopped" | "lost";

export class Replay {
  sent = $state(0);
  readonly total: number;
  /** Commands beyond the bounds. */
  readonly left: number;
  readonly #commands: readonly Recorded[];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  /** Begins at once. `send` says whether there was a connection. */
  constructor(
    commands: readonly Recorded[],
    readonly send: (line: string) => boolean,
    readonly end: (outcome: Outcome) => void,
  ) {
    const first = commands[0]?.at ?? 0;
    this.#commands = commands.slice(0, MAX_COMMANDS).filter(({ at }) => at - first <= MAX_SPAN);
    this.total = this.#commands.length;
    this.left = commands.length - this.total;
    this.#go(Date.now() - first);
  }

  stop(): void {
    this.#end("stopped");
  }

  /** Sends what is due, `shift` milliseconds after it was sent the first time. */
  #go(shift: number): void {
    for (;;) {
      const next = this.#commands[this.sent];
      if (!next) return this.#end("done");
      const wait = next.at + shift - Date.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#go(shift), wait);
        return;
      }
      if (!this.send(next.text)) return this.#end("lost");
      this.sent += 1;
    }
  }

  #end(outcome: Outcome): void {
    clearTimeout(this.#timer);
    if (this.#ended) return;
    this.#ended = true;
    this.end(outcome);
  }
}
