import { isActive, type Deleted, type Order, type ServerFrame } from "./types.js";

/** What a frame changed. */
export interface Change {
  /** The new states. */
  orders: Order[];
  /** The orders that are gone. */
  deleted: number[];
}

/**
 * What a client knows of its orders. Of each order the state with the highest version is kept: whatever came late, twice or
 * merged, the picture is the database's state once the newest frames have come.
 */
export class Picture {
  #orders = new Map<number, Order>();
  /** The last version of what was deleted, so that a late state does not bring it back. */
  #deleted = new Map<number, number>();
  #cursor: string | undefined;
  /** What `orders` gives until the next change. */
  #sorted: readonly Order[] | undefined;

  /** At the bound, the oldest orders that have ended are forgotten; those that are active never are. */
  constructor(readonly maxEnded: number) {}

  /** Where to resume. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  get(id: number): Order | undefined {
    return this.#orders.get(id);
  }

  /** The newest states, the newest order first. */
  orders(): readonly Order[] {
    return (this.#sorted ??= [...this.#orders.values()].sort((one, other) => other.id - one.id));
  }

  /** Takes in what a frame tells. */
  apply(frame: ServerFrame): Change {
    const change = this.learn(ordersOf(frame), deletedOf(frame));
    if ("cursor" in frame && frame.cursor !== undefined) this.#cursor = frame.cursor;
    return change;
  }

  /** Takes in states that were read elsewhere. */
  learn(orders: readonly Order[], deleted: readonly Deleted[] = []): Change {
    const change: Change = { orders: [], deleted: [] };
    for (const order of orders) {
      const known = this.#deleted.get(order.id) ?? this.#orders.get(order.id)?.version ?? 0;
      if (order.version <= known) continue;
      this.#orders.set(order.id, order);
      change.orders.push(order);
    }
    for (const { order_id, version } of deleted) {
      if (this.#orders.delete(order_id)) change.deleted.push(order_id);
      this.#deleted.set(order_id, Math.max(version, this.#deleted.get(order_id) ?? 0));
    }
    this.#forget();
    if (change.orders.length + change.deleted.length > 0) this.#sorted = undefined;
    return change;
  }

  /** An order that turned out to be gone. */
  drop(id: number): Change {
    return this.learn([], [{ order_id: id, version: Number.MAX_SAFE_INTEGER }]);
  }

  /** Forgets a tenth beyond the bound at once, so that not every frame pays for a search. */
  #forget(): void {
    const slack = Math.ceil(this.maxEnded * 1.1);
    if (this.#orders.size > slack) {
      const ended = [...this.#orders.values()].filter((order) => !isActive(order)).map(({ id }) => id);
      ended.sort((one, other) => one - other);
      for (const id of ended.slice(0, Math.max(0, ended.length - this.maxEnded))) this.#orders.delete(id);
    }
    if (this.#deleted.size > slack) {
      const oldest = [...this.#deleted.keys()].slice(0, this.#deleted.size - this.maxEnded);
      for (const id of oldest) this.#deleted.delete(id);
    }
  }
}

function ordersOf(frame: ServerFrame): readonly Order[] {
  switch (frame.type) {
    case "welcome":
    case "feed":
    case "resync":
      return frame.orders;
    case "order":
      return [frame.order];
    case "reply":
      if ("order" in frame) return [frame.order];
      return "items" in frame ? frame.items.filter((item) => "status" in item) : [];
    case "error":
      return frame.problem.order ? [frame.problem.order] : [];
    default:
      return [];
  }
}

function deletedOf(frame: ServerFrame): readonly Deleted[] {
  switch (frame.type) {
    case "welcome":
    case "feed":
    case "resync":
      return frame.deleted ?? [];
    case "deleted":
      return [frame];
    default:
      return [];
  }
}
