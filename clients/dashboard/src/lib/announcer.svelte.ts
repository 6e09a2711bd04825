// What screen readers are told: in batches, because a feed of single changes drowns everything else.

import type { Order, Status } from "galley-client";
import { i18n } from "../i18n/index.svelte";

/** At most one announcement in so many milliseconds. */
const EVERY = 4_000;

class Announcer {
  /** Polite: read when nothing else is being read. */
  text = $state("");
  /** Assertive: for a connection that is lost. */
  alarm = $state("");
  #changed = new Map<number, Status>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Something that somebody just did has come off. */
  say(text: string): void {
    this.text = text;
  }

  /** Orders changed: counted now, told later. */
  changed(orders: readonly Order[]): void {
    for (const { id, status } of orders) this.#changed.set(id, status);
    this.#timer ??= setTimeout(() => this.#tell(), EVERY);
  }

  #tell(): void {
    this.#timer = undefined;
    const counts = new Map<Status, number>();
    for (const status of this.#changed.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
    const total = this.#changed.size;
    this.#changed.clear();
    if (total === 0) return;
    const parts = [...counts].map(([status, count]) => `${i18n.number(count)} ${i18n.words.status[status]}`);
    this.text = i18n.words.common.announce(total, i18n.number(total), parts.join(", "));
  }
}

export const announcer = new Announcer();
