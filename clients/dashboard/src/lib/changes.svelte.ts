// The changes that a view asked for. They are shown while they wait, can be withdrawn, and stay in sight when they fail. A deletion can be
// undone before it is sent.

import { GalleyError, newKey, type Galley, type Pending } from "galley-client";
import { onDestroy } from "svelte";
import { i18n } from "../i18n/index.svelte";
import { announcer } from "./announcer.svelte";
import { names } from "./names.svelte";
import { failureText } from "./problems";
import { session } from "./session.svelte";
import { toasts } from "./toasts.svelte";
import { Undoable, undoAll } from "./undoable.svelte";

/** The most failures that are kept; beyond, the oldest goes. */
const MAX_FAILURES = 50;
/** Failures that nobody has to see: the view was left, or the change withdrawn. */
const QUIET = ["closed", "aborted"];

type Change =
  | { type: "place"; meal_id: number; key: string }
  | { type: "cancel"; order_id: number; reason: string }
  | { type: "delete"; order_id: number };
/** A change that failed. `id` is that of the message about it; the reason is in the language of the page. */
export type Failure = Change & { id: number; why: () => string };

export class Changes {
  /** The changes that wait for their answers, in the order in which they were asked for. */
  pending = $state.raw<readonly Pending[]>([]);
  /** The changes that failed, until they are tried again or dismissed. */
  failures = $state.raw<readonly Failure[]>([]);
  #deletions = $state.raw<ReadonlyMap<number, Undoable>>(new Map());

  /** For a component that is being made; deletions that have not been sent end with it. */
  constructor(readonly client: Galley) {
    this.pending = client.pending;
    client.on("pending", (pending) => {
      this.pending = pending;
      // A connection that begins anew places by itself what it has kept.
      const keys = pending.map((one) => one.type === "place" && one.key);
      this.#settle((one) => one.type === "place" && keys.includes(one.key));
    });
    onDestroy(undoAll);
  }

  /** The number of placements of this meal that wait. */
  sending(mealId: number): number {
    return this.pending.filter((one) => one.type === "place" && one.meal_id === mealId).length;
  }

  /** The change of this order that waits. */
  of(orderId: number): "cancel" | "delete" | undefined {
    for (const one of this.pending) if (one.type !== "place" && one.order_id === orderId) return one.type;
    return undefined;
  }

  /** The seconds until this order is deleted; `undefined` if it is not. */
  left(orderId: number): number | undefined {
    return this.#deletions.get(orderId)?.left;
  }

  failureOf(orderId: number): Failure | undefined {
    return this.failures.find((one) => one.type !== "place" && one.order_id === orderId);
  }

  place(mealId: number): void {
    void this.#attempt({ type: "place", meal_id: mealId, key: newKey() });
  }

  cancel(orderId: number, reason: string): void {
    void this.#attempt({ type: "cancel", order_id: orderId, reason });
  }

  /** Deletes an order, unless that is undone in time. */
  delete(orderId: number): void {
    if (this.left(orderId) !== undefined) return;
    const undoable = new Undoable();
    undoable.begin(() => {
      this.#endDeletion(orderId);
      // Another program may have deleted it meanwhile.
      if (this.client.order(orderId)) void this.#attempt({ type: "delete", order_id: orderId });
    });
    this.#deletions = new Map(this.#deletions).set(orderId, undoable);
    announcer.say(i18n.words.order.deletedIn(undoable.left ?? 0));
  }

  undo(orderId: number): void {
    this.#deletions.get(orderId)?.undo();
    this.#endDeletion(orderId);
    toasts.good(i18n.words.common.undone);
  }

  /** Tries again what failed. A placement has the same key as before, so that it cannot be placed twice. */
  retry({ id, why: _why, ...change }: Failure): void {
    if (this.client.state.name === "closed") session.retryNow();
    if (this.failures.some((one) => one.id === id)) void this.#attempt(change);
  }

  dismiss(id: number): void {
    this.#settle((one) => one.id === id);
  }

  withdraw(id: number): void {
    if (this.client.withdraw(id)) toasts.bad(i18n.words.order.withdrawnLate);
    else toasts.good(i18n.words.order.withdrawn);
  }

  async #attempt(change: Change): Promise<void> {
    this.#settle((one) => sameSubject(one, change));
    try {
      if (change.type === "cancel") await this.client.cancel(change.order_id, change.reason);
      else if (change.type === "delete") await this.client.delete(change.order_id);
      else {
        await this.client.place(change.meal_id, { key: change.key });
        toasts.good(i18n.words.order.placed(names.meal(change.meal_id) ?? i18n.words.common.meal(change.meal_id)));
      }
    } catch (error) {
      if (error instanceof GalleyError && QUIET.includes(error.code)) return;
      const why = () => `${i18n.words.order.failed[change.type]} ${failureText(error)}`;
      this.failures = [...this.failures, { ...change, id: toasts.bad(why()), why }].slice(-MAX_FAILURES);
    }
  }

  /** Takes failures out of sight, with the messages about them. */
  #settle(isOver: (one: Failure) => boolean): void {
    for (const { id } of this.failures.filter(isOver)) toasts.dismiss(id);
    this.failures = this.failures.filter((one) => !isOver(one));
  }

  #endDeletion(orderId: number): void {
    const others = new Map(this.#deletions);
    others.delete(orderId);
    this.#deletions = others;
  }
}

/** Whether both are about the same order, or are the same placement. */
function sameSubject(one: Change, other: Change): boolean {
  if (one.type === "place") return other.type === "place" && one.key === other.key;
  return other.type !== "place" && one.order_id === other.order_id;
}
