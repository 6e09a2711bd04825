// How many orders came and ended in each second, and how long they took: out of the times that orders carry.

import { isActive, type Order } from "galley-client";

/** The seconds that are shown. */
export const WINDOW = 120;
/** The most durations that are kept of one second; beyond, they stand for the others. */
const MAX_SAMPLES = 400;
/** The most active orders that are remembered as counted; beyond, all are forgotten and some may be counted twice. */
const MAX_COUNTED = 200_000;

interface Second {
  placed: number;
  ended: number;
  waits: number[];
  totals: number[];
}

/** What the plots show: one value a second, the newest last. */
export interface Series {
  seconds: number[];
  placed: number[];
  ended: number[];
  wait: (number | null)[];
  total: (number | null)[];
  worst: (number | null)[];
}

export class Meter {
  #seconds = new Map<number, Second>();
  #counted = new Set<number>();

  /** Takes in new states; each state of an order once. */
  add(orders: readonly Order[]): void {
    for (const order of orders) {
      if (!this.#counted.has(order.id)) this.#at(order.order_time).placed += 1;
      if (isActive(order)) {
        this.#counted.add(order.id);
        continue;
      }
      this.#counted.delete(order.id);
      if (!order.completed_time) continue;
      const second = this.#at(order.completed_time);
      second.ended += 1;
      const began = Date.parse(order.order_time);
      if (second.totals.length >= MAX_SAMPLES) continue;
      second.totals.push(Date.parse(order.completed_time) - began);
      if (order.started_time) second.waits.push(Date.parse(order.started_time) - began);
    }
    if (this.#counted.size > MAX_COUNTED) this.#counted.clear();
  }

  /** The window up to the last whole second before `now`. */
  series(now: number): Series {
    const last = Math.floor(now / 1_000) - 1;
    const first = last - WINDOW + 1;
    for (const second of this.#seconds.keys()) if (second < first) this.#seconds.delete(second);
    const series: Series = { seconds: [], placed: [], ended: [], wait: [], total: [], worst: [] };
    for (let second = first; second <= last; second++) {
      const counted = this.#seconds.get(second);
      series.seconds.push(second);
      series.placed.push(counted?.placed ?? 0);
      series.ended.push(counted?.ended ?? 0);
      const totals = counted?.totals.sort((one, other) => one - other) ?? [];
      series.wait.push(quantile(counted?.waits.sort((one, other) => one - other) ?? [], 0.5));
      series.total.push(quantile(totals, 0.5));
      series.worst.push(quantile(totals, 0.95));
    }
    return series;
  }

  #at(time: string): Second {
    const second = Math.floor(Date.parse(time) / 1_000);
    let counted = this.#seconds.get(second);
    if (!counted) {
      counted = { placed: 0, ended: 0, waits: [], totals: [] };
      // What is older than the window is read with the page, and not kept.
      if (second >= Date.now() / 1_000 - WINDOW - 1) this.#seconds.set(second, counted);
    }
    return counted;
  }
}

/** In seconds; nothing of nothing. */
function quantile(sorted: readonly number[], share: number): number | null {
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return found === undefined ? null : Math.max(0, found) / 1_000;
}
