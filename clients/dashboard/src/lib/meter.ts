// How many orders came and ended in each second, and how long they took: out of the times that orders carry, and before this page listened
// out of the history of the gateway. A second of which neither knows is unknown, which is not zero.

import type { HistorySecond, Order } from "galley-client";

/** The seconds that are shown. */
export const WINDOW = 120;
/** The most durations that are kept of one second; beyond, they stand for the others. */
const MAX_SAMPLES = 400;
/** The most orders that are remembered as counted; beyond, the oldest are forgotten and may be counted twice. */
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
  placed: (number | null)[];
  ended: (number | null)[];
  wait: (number | null)[];
  total: (number | null)[];
  worst: (number | null)[];
}

/** A stretch of time, in milliseconds, of which everything is known. */
interface Known {
  from: number;
  to: number;
}

export class Meter {
  #seconds = new Map<number, Second>();
  /** Orders that were counted, and whether their end was. */
  #counted = new Map<number, boolean>();
  /** When this page heard everything: one stretch for each connection. */
  #heard: Known[] = [];
  /** Of which times all orders that were placed have been read. */
  #read: Known[] = [];
  /** What the gateway knows of seconds in which this page did not listen. */
  #past = new Map<number, HistorySecond>();

  /** From this moment on everything is heard. */
  listening(now: number): void {
    if (this.#heard.at(-1)?.to === Infinity) return;
    // The second in which the page began to listen is known only in part.
    this.#heard.push({ from: now, to: Infinity });
  }

  /** From this moment on nothing is heard. */
  deaf(now: number): void {
    const last = this.#heard.at(-1);
    if (last?.to === Infinity) last.to = now;
  }

  /** A page of the newest orders of all heroes in any status; the last one tells that there are no others. */
  read(orders: readonly Order[], last: boolean, now: number): void {
    const oldest = Math.min(now, ...orders.map(({ order_time }) => Date.parse(order_time)));
    this.add(orders);
    this.#read.push({ from: last ? -Infinity : oldest, to: now });
    // Without older orders none of them ended unseen either.
    if (last) this.#heard.unshift({ from: -Infinity, to: now });
  }

  /** The history of the gateway. */
  recall(history: readonly HistorySecond[]): void {
    for (const second of history) this.#past.set(second.at, second);
  }

  /** Takes in new states; each order and each end once. */
  add(orders: readonly Order[]): void {
    for (const order of orders) {
      const counted = this.#counted.get(order.id);
      if (counted === undefined) this.#at(order.order_time).placed += 1;
      if (counted) continue;
      this.#counted.set(order.id, order.completed_time !== null);
      if (order.completed_time) this.#end(order, order.completed_time);
    }
    for (const id of this.#counted.keys()) {
      if (this.#counted.size <= MAX_COUNTED) break;
      this.#counted.delete(id);
    }
  }

  /** The window up to the last whole second before `now`. */
  series(now: number): Series {
    const last = Math.floor(now / 1_000) - 1;
    const first = last - WINDOW + 1;
    this.#forget(first);
    const series = empty();
    for (let second = first; second <= last; second++) {
      const counted = this.#seconds.get(second);
      const heard = covers(this.#heard, second);
      const past = this.#past.get(second);
      if (past && !heard) {
        push(series, second, past);
        continue;
      }
      series.seconds.push(second);
      series.placed.push(heard || covers(this.#read, second) ? (counted?.placed ?? 0) : null);
      series.ended.push(heard ? (counted?.ended ?? 0) : null);
      const totals = (heard && counted?.totals.sort((one, other) => one - other)) || [];
      series.wait.push(quantile((heard && counted?.waits.sort((one, other) => one - other)) || [], 0.5));
      series.total.push(quantile(totals, 0.5));
      series.worst.push(quantile(totals, 0.95));
    }
    return series;
  }

  #end(order: Order, time: string): void {
    const second = this.#at(time);
    second.ended += 1;
    if (second.totals.length >= MAX_SAMPLES) return;
    const began = Date.parse(order.order_time);
    second.totals.push(Date.parse(time) - began);
    if (order.started_time) second.waits.push(Date.parse(order.started_time) - began);
  }

  #at(time: string): Second {
    const second = Math.floor(Date.parse(time) / 1_000);
    const counted = this.#seconds.get(second) ?? { placed: 0, ended: 0, waits: [], totals: [] };
    this.#seconds.set(second, counted);
    return counted;
  }

  /** What has left the window, and is counted no more. */
  #forget(first: number): void {
    for (const those of [this.#seconds, this.#past]) for (const second of those.keys()) if (second < first) those.delete(second);
    const present = ({ to }: Known) => to >= first * 1_000;
    this.#heard = this.#heard.filter(present);
    this.#read = this.#read.filter(present);
  }
}

/** The history of a gateway: the seconds before its newest one, and nothing of those that it does not know. */
export function seriesOf(history: readonly HistorySecond[], window: number): Series {
  const known = new Map(history.map((second) => [second.at, second]));
  const last = history.at(-1)?.at ?? 0;
  const series = empty();
  for (let second = last - window + 1; second <= last; second++) push(series, second, known.get(second));
  return series;
}

const empty = (): Series => ({ seconds: [], placed: [], ended: [], wait: [], total: [], worst: [] });

function push(series: Series, second: number, known: HistorySecond | undefined): void {
  const inSeconds = (time: number | undefined) => (time === undefined ? null : time / 1_000);
  series.seconds.push(second);
  series.placed.push(known ? known.placed : null);
  series.ended.push(known ? known.completed + known.cancelled : null);
  series.wait.push(inSeconds(known?.wait_ms));
  series.total.push(inSeconds(known?.total_ms));
  series.worst.push(inSeconds(known?.total_p95_ms));
}

/** Whether the whole second lies in these stretches: a second in which one ends, and another has begun before, does. */
function covers(known: readonly Known[], second: number): boolean {
  let [from, to] = [second * 1_000, (second + 1) * 1_000];
  for (let moved = true; moved && from < to; ) {
    const reach = Math.max(from, ...known.filter((one) => one.from <= from).map((one) => one.to));
    moved = reach > from;
    from = reach;
  }
  return from >= to;
}

/** In seconds; nothing of nothing. */
function quantile(sorted: readonly number[], share: number): number | null {
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return found === undefined ? null : Math.max(0, found) / 1_000;
}
