// Changes that a view asked for: shown while they wait, and told of when they fail.

import { OutboxFull, ProblemError, type Galley, type Pending } from "galley-client";
import { i18n } from "../i18n/index.svelte";
import { describe } from "./problems";
import { toasts } from "./toasts.svelte";

export class Changes {
  #pending = $state.raw<readonly Pending[]>([]);
  /** The meals of the orders that are being sent, in the order in which they were asked for. */
  readonly placing = $derived(this.#pending.flatMap((one) => (one.type === "place" ? [{ id: one.id, mealId: one.meal_id }] : [])));

  constructor(client: Galley) {
    this.#pending = client.pending;
    client.on("pending", (pending) => (this.#pending = pending));
  }

  get size(): number {
    return this.#pending.length;
  }

  /** What is being done to an order. */
  of(orderId: number): "cancel" | "delete" | undefined {
    for (const one of this.#pending) if (one.type !== "place" && one.order_id === orderId) return one.type;
    return undefined;
  }

  /** Waits for the answer, and says what went wrong. A page that leaves needs to hear nothing. */
  async attempt(answer: Promise<unknown>, done: () => void = () => {}): Promise<void> {
    try {
      await answer;
      done();
    } catch (error) {
      if (error instanceof ProblemError) toasts.bad(describe(error.problem));
      else if (error instanceof OutboxFull) toasts.bad(i18n.words.order.outboxFull);
    }
  }
}
