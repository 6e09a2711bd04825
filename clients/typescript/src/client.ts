// The client: a connection, an outbox, a picture, and the promises that tie them together.

import { at, gatewayAddress } from "./address.js";
import { defaultBackoff } from "./backoff.js";
import { Connection, type SocketClass } from "./connection.js";
import { diagnose } from "./diagnosis.js";
import { Emitter } from "./emitter.js";
import { ended, GaveUp, GalleyError, ProblemError, slugOf } from "./errors.js";
import type { Events } from "./events.js";
import { Iteration, type IterationOptions } from "./iteration.js";
import { memoryKeeper, newKey, type Keeper, type Kept } from "./keeper.js";
import { checked, type Options, type PlaceOptions } from "./options.js";
import { Outbox } from "./outbox.js";
import { pendingOf, type Pending } from "./pending.js";
import { Picture, type Change } from "./picture.js";
import { Renewal } from "./renewal.js";
import { reread } from "./reread.js";
import { rest, type Rest } from "./rest.js";
import { isOpen, type State } from "./state.js";
import { isActive, type Command, type Frame, type Meal, type Order, type Page, type ServerFrame, type Status, type Totals, type Watch } from "./types.js";
import { bounded, type CallOptions } from "./waiting.js";

/** Placements that were kept for longer are dropped: nobody wants yesterday's lunch. */
const MAX_AGE = 3_600_000;

/** The events of a page whose machine wakes up, or whose network changes. */
const WAKES = ["offline", "online", "pageshow", "visibilitychange"];

/** A connection to Galley that comes back by itself. */
export class Galley extends Emitter<Events> {
  readonly rest: Rest;
  readonly #options: Options;
  readonly #keeper: Keeper;
  readonly #outbox: Outbox;
  readonly #connection: Connection;
  readonly #renewal: Renewal;
  readonly #placing = new Set<string>();
  readonly #gateway: URL;
  #picture: Picture;
  #pending: readonly Pending[] = [];
  #watch: Watch | undefined;
  /** For pages: a connection may have died on another network, or while the machine slept, without anybody having said so. */
  readonly #wake = () => {
    if (globalThis.document?.hidden) return;
    this.retryNow();
    this.check();
  };

  /** Throws when it could not work with these options. */
  constructor(options: Options) {
    super();
    this.#options = checked(options);
    this.#gateway = gatewayAddress(options.url);
    this.rest = rest(options.url, options.token, options.timeout);
    this.#keeper = options.keeper ?? memoryKeeper();
    this.#outbox = new Outbox(
      options.maxWaiting ?? 100,
      options.backoff,
      (line) => this.sendLine(line),
      () => this.emit("pending", (this.#pending = pendingOf(this.#outbox.all()))),
    );
    this.#picture = new Picture(options.maxEnded ?? 10_000);
    // Not by `sendLine`: whoever listens to lines need not see tokens.
    this.#renewal = new Renewal(options.token, (line) => this.#connection.send(line));
    this.#connection = new Connection({
      socketClass: (options.webSocket ?? globalThis.WebSocket) as SocketClass,
      backoff: options.backoff ?? defaultBackoff,
      address: () => this.#address(),
      protocols: async () => {
        const token = await this.#renewal.first();
        return token ? ["galley.v1", `bearer.${token}`] : ["galley.v1"];
      },
      diagnose: () => diagnose(this.rest, options),
      onState: (state) => {
        if (!isOpen(state)) this.#renewal.stop();
        if (state.name === "closed") {
          for (const event of WAKES) globalThis.removeEventListener?.(event, this.#wake);
          this.#outbox.fail(ended(state.reason));
        }
        this.emit("state", state);
      },
      onLine: (line) => this.#hear(line),
      waiting: () => this.#outbox.size > 0,
    });
  }

  get state(): State {
    return this.#connection.state;
  }

  /** The newest states of the orders, the newest order first. The same array until something changes. */
  get orders(): readonly Order[] {
    return this.#picture.orders();
  }

  order(id: number): Order | undefined {
    return this.#picture.get(id);
  }

  /** How many commands wait for their answers. */
  get waiting(): number {
    return this.#outbox.size;
  }

  /** The changes that wait for their answers, in the order in which they were asked for. */
  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /**
   * Begins, or begins anew after an end; resolves when the gateway has said welcome, rejects when it never will. Who does not wait
   * any longer does not end the attempts: `close` does.
   */
  async connect(options: CallOptions = {}): Promise<void> {
    if (!(this.#options.webSocket ?? globalThis.WebSocket)) {
      throw new GalleyError("no-web-socket", "there is no WebSocket here: give webSocket, the class of the package `ws` for instance");
    }
    this.#adopt();
    for (const event of WAKES) globalThis.addEventListener?.(event, this.#wake);
    this.#connection.open();
    const settled = (state: State) => state.name === "connected" || state.name === "closed";
    const state = settled(this.state) ? this.state : await this.once("state", settled, options);
    if (state.name === "closed") throw ended(state.reason);
  }

  /**
   * Events of one kind for `for await`, from now on. The loop ends when the client is closed, and throws when the connection ends
   * for another reason.
   */
  each<Name extends keyof Events>(name: Name, options: IterationOptions = {}): Iteration<Events[Name]> {
    return new Iteration(options, (push, end) => {
      const { state } = this;
      if (state.name === "closed") end(ended(state.reason));
      const stops = [
        this.on(name, push),
        this.on("state", ({ name, ...more }) => {
          if (name === "closed" && "reason" in more) end(more.reason.code === "closed" ? undefined : ended(more.reason));
        }),
      ];
      return () => stops.forEach((stop) => stop());
    });
  }

  /** The changes of what is known of the orders, for `for await`. */
  changes(options: IterationOptions = {}): Iteration<Events["change"]> {
    return this.each("change", options);
  }

  /** Tries again at once instead of waiting for the end of the pause. */
  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Asks the gateway whether it is there. Its silence is known within seconds. A page that wakes up or changes its network asks by itself. */
  check(): void {
    this.#connection.check();
  }

  /**
   * Shows the gateway the provider's token on the open connection, for providers that know before the gateway says so. Resolves with
   * whether the gateway took it; false when there is no connection, or the token is the one that the gateway has.
   */
  renew(options: CallOptions = {}): Promise<boolean> {
    return bounded(options, (resolve, reject) => {
      this.#renewal.renew().then(resolve, reject);
      return () => true;
    });
  }

  /** Ends for good, unless `connect` begins anew. What waits for an answer is rejected; placements stay kept. */
  close(): void {
    this.#connection.close({ code: "closed", detail: "the client was closed" });
  }

  /** Orders a meal, once, whatever happens on the way. What is given up is not kept, and not sent again. */
  async place(mealId: number, { traceparent, key = newKey(), ...options }: PlaceOptions = {}): Promise<Order> {
    if (this.state.name === "closed") throw ended(this.state.reason);
    this.#outbox.room();
    const kept: Kept = { key, meal_id: mealId, at: Date.now() };
    this.guard("the keeper", () => this.#keeper.keep(kept));
    return this.#place(kept, options, traceparent);
  }

  /**
   * Gives up a change that is `pending`: its call rejects with the code `aborted`, and it is not sent again. Returns whether the
   * gateway may have received it, and so may have carried it out.
   */
  withdraw(pendingId: number): boolean {
    return this.#outbox.withdraw(pendingId);
  }

  /** Cancels an order; rejects with `already-finished` when that came too late. */
  async cancel(orderId: number, reason?: string, options?: CallOptions): Promise<Order> {
    const command: Command<"cancel"> = { type: "cancel", order_id: orderId, ...(reason ? { reason } : {}) };
    return (await this.#ask(command, options, cancelledBefore)).order;
  }

  /** Deletes an order that has ended. */
  async delete(orderId: number, options?: CallOptions): Promise<void> {
    await this.#ask<{ deleted: boolean }>({ type: "delete", order_id: orderId } satisfies Command<"delete">, options, deletedBefore);
  }

  async get(orderId: number, options?: CallOptions): Promise<Order> {
    return (await this.#ask<{ order: Order }>({ type: "get", order_id: orderId } satisfies Command<"get">, options)).order;
  }

  /** A page of the orders, the newest first. */
  list({ signal, timeout, ...page }: { status?: Status[]; limit?: number; cursor?: string } & CallOptions = {}): Promise<Page<Order>> {
    return this.#ask({ type: "orders", ...page } satisfies Command<"orders">, { signal, timeout });
  }

  menu(cursor?: string, options?: CallOptions): Promise<Page<Meal>> {
    return this.#ask({ type: "menu", ...(cursor ? { cursor } : {}) } satisfies Command<"menu">, options);
  }

  /** Watches the whole feed from now on (staff); after each reconnection what was missed comes first. Resolves with the totals, if the gateway knows them. */
  async watch(watch: Watch = {}, options?: CallOptions): Promise<Totals | undefined> {
    this.#watch = undefined;
    const { totals } = await this.#ask<{ totals?: Totals }>({ type: "watch", ...watch } satisfies Command<"watch">, options);
    // From now on it is said again after each welcome; until now it waited in the outbox.
    this.#watch = watch;
    return totals;
  }

  /** Resolves when the gateway has answered. */
  async ping(options?: CallOptions): Promise<void> {
    await this.#ask<object>({ type: "ping" } satisfies Command<"ping">, options);
  }

  /** Sends a line as it is, for consoles; false when there is no connection. Its answer is a `reply` or `error` event. */
  sendLine(line: string): boolean {
    const sent = this.#connection.send(line);
    if (sent) this.emit("sent", line);
    return sent;
  }

  /** Forgets what is known of the orders, cursor included. */
  forget(): void {
    const deleted = this.orders.map(({ id }) => id);
    this.#picture = new Picture(this.#options.maxEnded ?? 10_000);
    this.#changed({ orders: [], deleted }, "forget");
  }

  /** Takes in states that were read elsewhere, from REST for instance. */
  learn(orders: readonly Order[]): void {
    this.#changed(this.#picture.learn(orders), "learn");
  }

  /** What an earlier life of this program kept is placed again under the same keys. */
  #adopt(): void {
    for (const kept of this.guard("the keeper", () => this.#keeper.all()) ?? []) {
      if (this.#placing.has(kept.key)) continue;
      if (Date.now() - kept.at > MAX_AGE) this.#drop(kept.key);
      else if (this.#outbox.size < this.#outbox.bound) this.#place(kept, { timeout: Infinity }).catch(() => {});
    }
  }

  async #place(kept: Kept, options: CallOptions, traceparent?: string): Promise<Order> {
    this.#placing.add(kept.key);
    const command: Command<"place"> = { type: "place", meal_id: kept.meal_id, key: kept.key, ...(traceparent ? { traceparent } : {}) };
    try {
      const { order } = await this.#ask<{ order: Order }>(command, options);
      this.#drop(kept.key);
      return order;
    } catch (error) {
      // Kept only if the connection ended before the answer: the next life places it again.
      const decided = error instanceof ProblemError || error instanceof GaveUp || (error as GalleyError).code === "invalid-option";
      if (decided) this.#drop(kept.key);
      throw error;
    } finally {
      this.#placing.delete(kept.key);
    }
  }

  #drop(key: string): void {
    this.guard("the keeper", () => this.#keeper.forget(key));
  }

  #ask<Reply>(
    command: Command,
    { signal, timeout = this.#options.timeout }: CallOptions = {},
    excuse?: (error: Frame<"error">) => Reply | undefined,
  ): Promise<Reply> {
    if (this.state.name === "closed") return Promise.reject(ended(this.state.reason));
    return this.#outbox.ask(command, { signal, timeout }, excuse);
  }

  #hear(line: string): void {
    this.emit("received", line);
    let frame: ServerFrame | null;
    try {
      frame = JSON.parse(line) as ServerFrame | null;
    } catch {
      frame = null;
    }
    // Not of this protocol; whoever listens to lines sees it.
    if (typeof frame?.type === "string") this.guard("a frame that is not of this protocol", () => this.#take(frame));
  }

  #take(frame: ServerFrame): void {
    if (frame.type === "welcome") this.#welcome(frame);
    if (frame.type === "reconnect") this.#connection.hint(frame.after_ms);
    if (frame.type === "expiring") this.#renewal.expiring(frame.after_ms);
    this.#changed(this.#picture.apply(frame), frame.type);
    if (frame.type === "reply" || frame.type === "error" || frame.type === "pong") {
      this.#renewal.hear(frame);
      this.#outbox.settle(frame);
    }
    this.emit(frame.type, frame as never);
  }

  #welcome(frame: Frame<"welcome">): void {
    const unsure = this.#picture.orders().filter(isActive);
    this.#connection.welcomed();
    if (this.#watch && !frame.hero) this.sendLine(JSON.stringify({ type: "watch", ...this.#watch, cursor: this.#picture.cursor }));
    this.#outbox.begin();
    // After a gap that no cursor bridges, what was active may have ended, or be gone.
    if (frame.resume !== "resumed" && unsure.length > 0) this.#reread(unsure).catch(() => {});
  }

  /** Finds out what became of orders: by the page, and one by one what pages did not tell. */
  async #reread(orders: Order[]): Promise<void> {
    const drop = (id: number) => this.#changed(this.#picture.drop(id), "learn");
    const ids = orders.map(({ id }) => id);
    const left = await reread(this.rest, this.#options.heroId, ids, (found, gone) => {
      this.learn(found);
      gone.forEach(drop);
    });
    for (const id of left) {
      const known = this.order(id);
      if (!known || !isActive(known)) continue;
      await this.get(id).catch((error: unknown) => {
        if (!(error instanceof ProblemError) || error.slug !== "order-not-found") throw error;
        drop(id);
      });
    }
  }

  #changed(change: Change, by: Events["change"]["by"]): void {
    if (change.orders.length + change.deleted.length > 0) this.emit("change", { ...change, by });
  }

  #address(): string {
    const address = at(this.#gateway, "/ws");
    address.protocol = address.protocol.replace("http", "ws");
    const { heroId, lang } = this.#options;
    for (const [name, value] of Object.entries({ hero_id: heroId, cursor: this.#picture.cursor, lang })) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    return address.href;
  }
}

/** The first of two equal cancels did it. */
function cancelledBefore({ problem }: Frame<"error">): { order: Order } | undefined {
  const { order } = problem;
  return order?.status === "CANCELLED" && order.reason === "hero_request" ? { order } : undefined;
}

/** The first of two equal deletes did it. */
function deletedBefore({ problem }: Frame<"error">): { deleted: boolean } | undefined {
  return slugOf(problem) === "order-not-found" ? { deleted: true } : undefined;
}
