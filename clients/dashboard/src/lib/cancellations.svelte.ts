// Cancels many orders with one reason: after a time in which it can be undone, a few at once, with a result for each.

import { ProblemError, isActive, slugOf, type Galley } from "galley-client";
import { i18n } from "../i18n/index.svelte";
import { announcer } from "./announcer.svelte";
import { ofTab } from "./memory";
import { describe } from "./problems";
import { toasts } from "./toasts.svelte";

export const outcomes = ["cancelled", "ended", "failed"] as const;
type Outcome = (typeof outcomes)[number];

/** In which nothing is sent, in milliseconds. */
const UNDO = 5_000;
/** The most cancellations under way. */
const AT_ONCE = 8;
/** Names what has not been sent, so that a page that is loaded anew can say so. */
const NOTE = "galley.cancelling";

export class Cancellations {
  stage = $state<"none" | "waiting" | "sending" | "done">("none");
  /** Seconds until they are sent. */
  left = $state(0);
  total = $state(0);
  counts = $state<Record<Outcome, number>>({ cancelled: 0, ended: 0, failed: 0 });
  /** Of each order, once all are there. */
  results = $state.raw<readonly { id: number; outcome: Outcome; why: string }[]>([]);
  #queue: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(readonly client: Galley) {
    if (ofTab.getItem(NOTE)) toasts.bad(i18n.words.kitchen.leftBefore);
    ofTab.removeItem(NOTE);
  }

  begin(ids: readonly number[], reason: string): void {
    const due = Date.now() + UNDO;
    const tick = () => {
      this.left = Math.ceil((due - Date.now()) / 1_000);
      if (this.left <= 0) void this.#send(reason);
    };
    this.#queue = [...ids];
    this.total = ids.length;
    this.stage = "waiting";
    ofTab.setItem(NOTE, "1");
    tick();
    this.#timer = setInterval(tick, 200);
    announcer.say(i18n.words.kitchen.cancelsIn(this.total, i18n.number(this.total), this.left));
  }

  undo(): void {
    this.#settle();
    this.stage = "none";
    toasts.good(i18n.words.kitchen.undone);
  }

  close(): void {
    this.stage = "none";
  }

  /** The view is left: what has not been sent never is. */
  stop(): void {
    const words = i18n.words.kitchen;
    if (this.stage === "waiting") toasts.bad(words.leftBefore);
    else if (this.stage === "sending" && this.#queue.length > 0) toasts.bad(words.notSent(this.#queue.length, i18n.number(this.#queue.length)));
    this.#queue = [];
    this.#settle();
  }

  #settle(): void {
    clearInterval(this.#timer);
    ofTab.removeItem(NOTE);
  }

  async #send(reason: string): Promise<void> {
    this.#settle();
    this.stage = "sending";
    this.counts = { cancelled: 0, ended: 0, failed: 0 };
    const results: { id: number; outcome: Outcome; why: string }[] = [];
    const lane = async () => {
      for (let id = this.#queue.shift(); id !== undefined; id = this.#queue.shift()) {
        const result = { id, ...(await this.#cancel(id, reason)) };
        results.push(result);
        this.counts[result.outcome] += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    // What failed first: somebody has to look at that.
    this.results = results.sort((one, other) => outcomes.indexOf(other.outcome) - outcomes.indexOf(one.outcome) || one.id - other.id);
    this.stage = "done";
    const said = outcomes.map((outcome) => `${i18n.number(this.counts[outcome])} ${i18n.words.kitchen.outcomes[outcome]}`);
    announcer.say(said.join(", "));
  }

  async #cancel(id: number, reason: string): Promise<{ outcome: Outcome; why: string }> {
    const known = this.client.order(id);
    if (known && !isActive(known)) return { outcome: "ended", why: "" };
    try {
      await this.client.cancel(id, reason);
      return { outcome: "cancelled", why: "" };
    } catch (error) {
      if (!(error instanceof ProblemError)) return { outcome: "failed", why: String(error) };
      if (slugOf(error.problem) === "already-finished") return { outcome: "ended", why: "" };
      return { outcome: "failed", why: describe(error.problem) };
    }
  }
}
