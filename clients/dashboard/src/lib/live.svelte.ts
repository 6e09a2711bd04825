// The orders of a client as a view shows them: drawn once per frame of the screen, and held still while paused.

import type { Galley, Order, Totals } from "galley-client";
import { announcer } from "./announcer.svelte";

export class Live {
  /** The newest order first. */
  orders = $state.raw<readonly Order[]>([]);
  totals = $state.raw<Totals | undefined>();
  paused = $state(false);
  /** Changes that came while paused. */
  missed = $state(0);
  readonly #client: Galley;
  readonly #stops: (() => void)[];
  #totals: Totals | undefined;
  #drawing: number | undefined;

  constructor(client: Galley, heard: (orders: readonly Order[]) => void = () => {}) {
    this.#client = client;
    this.#stops = [
      client.on("change", ({ orders, deleted, by }) => {
        // A welcome and what was read tell how things stand, not that they changed.
        if (by !== "welcome" && by !== "learn") {
          heard(orders);
          announcer.changed(orders);
          if (this.paused) this.missed += orders.length + deleted.length;
        }
        this.#soon();
      }),
      client.on("feed", ({ totals }) => this.count(totals)),
    ];
  }

  /** New totals. */
  count(totals: Totals | undefined): void {
    if (!totals) return;
    this.#totals = totals;
    this.#soon();
  }

  toggle(): void {
    this.paused = !this.paused;
    this.missed = 0;
    this.#soon();
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    if (this.#drawing !== undefined) cancelAnimationFrame(this.#drawing);
  }

  #soon(): void {
    if (this.paused) return;
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = undefined;
      if (this.paused) return;
      this.orders = this.#client.orders;
      this.totals = this.#totals;
    });
  }
}
