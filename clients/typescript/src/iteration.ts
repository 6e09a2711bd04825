// Events for `for await`.

import { invalid } from "./errors.js";
import { bounded, type CallOptions } from "./waiting.js";

export interface IterationOptions extends CallOptions {
  /** The most events that wait to be taken, 1,000 unless told. */
  buffer?: number;
}

interface Taker<T> {
  resolve: (result: IteratorResult<T, undefined>) => void;
  reject: (error: unknown) => void;
}

/**
 * Events as they come, from the moment of the call. At the bound the oldest event that waits is dropped for the newest, and
 * `missed` counts it. `signal` ends the iteration, and so does an event that does not come within `timeout`.
 */
export class Iteration<T> implements AsyncIterableIterator<T, undefined> {
  #missed = 0;
  #waiting: T[] = [];
  #takers: Taker<T>[] = [];
  #end: { error?: unknown } | undefined;
  readonly #stop: () => void;
  readonly #options: IterationOptions;

  constructor(options: IterationOptions, subscribe: (push: (event: T) => void, end: (error?: unknown) => void) => () => void) {
    const { buffer = 1_000 } = options;
    if (!(buffer >= 1)) throw invalid(`buffer: ${buffer} is not 1 or more`);
    this.#options = options;
    this.#stop = subscribe(
      (event) => this.#push(event, buffer),
      (error) => this.#finish(error),
    );
    if (this.#end) this.#stop();
  }

  /** How many events have been dropped at the bound. */
  get missed(): number {
    return this.#missed;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return bounded(this.#options, (resolve, reject) => {
      const taker = { resolve, reject };
      this.#takers.push(taker);
      this.#settle();
      // `for await` does not call `return` after an error.
      return () => {
        this.#takers = this.#takers.filter((one) => one !== taker);
        void this.return();
        return false;
      };
    });
  }

  /** Ends the iteration; `break` within `for await` calls it. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#waiting = [];
    this.#finish();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #push(event: T, bound: number): void {
    if (this.#end) return;
    this.#waiting.push(event);
    this.#settle();
    if (this.#waiting.length <= bound) return;
    this.#waiting.shift();
    this.#missed += 1;
  }

  /** What waits can still be taken. */
  #finish(error?: unknown): void {
    this.#end ??= { error };
    this.#stop?.();
    this.#settle();
  }

  #settle(): void {
    while (this.#takers.length > 0 && (this.#waiting.length > 0 || this.#end)) {
      const { resolve, reject } = this.#takers.shift()!;
      if (this.#waiting.length > 0) {
        resolve({ done: false, value: this.#waiting.shift()! });
        continue;
      }
      const error = this.#end?.error;
      // An error is told once.
      this.#end = {};
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }
}
