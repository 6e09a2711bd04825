// Something that a view reads over REST. A failure is shown, and mended by itself: tried again after a pause, and at once when the
// connection is back.

import { pause, type Problem } from "galley-client";
import { onDestroy } from "svelte";
import { passing } from "./problems";
import { answered, session, type Call } from "./session.svelte";

const RETRY = { base: 1_000, cap: 8_000 };

export class Reading {
  /** Why nothing could be read; nothing once it was. */
  problem = $state.raw<Problem | undefined>();
  loading = $state(false);
  #again: (() => void) | undefined;
  #asked = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** For a component that is being made; ends with it. */
  constructor() {
    const back = session.onBack(() => {
      if (this.problem && (passing(this.problem) || this.problem.status === 401)) this.retry();
    });
    onDestroy(() => {
      back();
      this.stop();
    });
  }

  /**
   * Reads; of several questions only the answer to the last one is taken. A call of several steps is told whether its answer is still
   * wanted.
   */
  ask<T>(call: (wanted: () => boolean) => Call<T>, take: (data: T) => void): Promise<void> {
    this.#attempt = 0;
    return this.#ask(call, take);
  }

  /** Asks the last question again at once. */
  retry = (): void => this.#again?.();

  /** Takes no answer any more. */
  stop(): void {
    this.#asked += 1;
    this.loading = false;
    clearTimeout(this.#timer);
  }

  async #ask<T>(call: (wanted: () => boolean) => Call<T>, take: (data: T) => void): Promise<void> {
    clearTimeout(this.#timer);
    const mine = ++this.#asked;
    this.#again = () => void this.#ask(call, take);
    this.loading = true;
    const { data, problem } = await answered(call(() => mine === this.#asked));
    if (mine !== this.#asked) return;
    this.loading = false;
    this.problem = problem;
    if (!problem) {
      this.#attempt = 0;
      take(data);
    } else if (passing(problem)) {
      // Half of it for certain: a page that nobody answers need not ask at once.
      this.#timer = setTimeout(this.retry, RETRY.base / 2 + pause(this.#attempt++, RETRY));
    }
  }
}
