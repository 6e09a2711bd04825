// The cancellation of many orders with one reason: undoable for 5 s, then sent a few at a time, with a result for each order.

import { ProblemError, isActive, slugOf, type Galley } from "galley-client";
import { i18n } from "../i18n/index.svelte";
import { announcer } from "./announcer.svelte";
import { failureText } from "./problems";
import { toasts } from "./toasts.svelte";
import { Undoable, undoAll } from "./undoable.svelte";

export const outcomes = ["cancelled", "ended", "failed"] as const;
type Outcome = (typeof outcomes)[number];

/** The most cancellations that wait for their answers. */
const AT_ONCE = 8;

export class Cancellations {
  #sending = $state<"none" | "sending" | "done">("none");
  #undoable = new Undoable();
  total = $state(0);
  counts = $state<Record<Outcome, number>>({ cancelled: 0, ended: 0, failed: 0 });
  /** The result of each order, when all have been sent. */
  results = $state.raw<readonly { id: number; outcome: Outcome; why: string }[]>([]);
  #queue: number[] = [];

  constructor(readonly client: Galley) {}

  get stage(): "none" | "waiting" | "sending" | "done" {
    return this.#undoable.left === undefined ? this.#sending : "waiting";
  }

  /** The seconds until the cancellations are sent. */
  get left(): number {
    return this.#undoable.left ?? 0;
  }

  begin(ids: readonly number[], reason: string): void {
    this.#queue = [...ids];
    this.total = ids.length;
    this.#undoable.begin(() => void this.#send(reason));
    announcer.say(i18n.words.kitchen.cancelsIn(this.total, i18n.number(this.total), this.left));
  }

  undo(): void {
    this.#undoable.undo();
    toasts.good(i18n.words.common.undone);
  }

  close(): void {
    this.#sending = "none";
  }

  /** The view is left: cancellations that have not been sent are dropped. */
  stop(): void {
    undoAll();
    const rest = this.#queue.length;
    if (this.#sending === "sending" && rest > 0) toasts.bad(i18n.words.kitchen.notSent(rest, i18n.number(rest)));
    this.#queue = [];
  }

  async #send(reason: string): Promise<void> {
    this.#sending = "sending";
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
    // The failures come first: somebody has to look at them.
    this.results = results.sort((one, other) => outcomes.indexOf(other.outcome) - outcomes.indexOf(one.outcome) || one.id - other.id);
    this.#sending = "done";
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
      if (error instanceof ProblemError && slugOf(error.problem) === "already-finished") return { outcome: "ended", why: "" };
      return { outcome: "failed", why: failureText(error) };
    }
  }
}
