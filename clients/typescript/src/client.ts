// The client: a connection, an outbox, a picture, and the promises that tie them together.

import { defaultBackoff, pause, type Backoff } from "./backoff.js";
import { Connection, type Diagnosis, type SocketClass } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Closed, ProblemError, slugOf } from "./errors.js";
import { memoryKeeper, newKey, type Keeper, type Kept } from "./keeper.js";
import { Outbox, type Answer, type Waiting } from "./outbox.js";
import { pendingOf, type Pending } from "./pending.js";
import { Picture, type Change } from "./picture.js";
import { Renewal } from "./renewal.js";
import { reread } from "./reread.js";
import { at, rest, type Rest, type TokenProvider } from "./rest.js";
import { isOpen, type State } from "./state.js";
import { isActive, type Command, type Frame, type Meal, type Order, type Page, type ServerFrame, type Status, type Totals, type Watch } from "./types.js";

export interface Options {
  /** Where the gateway is: `http://127.0.0.1:8080`, or `https://example.org/galley` under a path. */
  url: string;
  /** Whose orders; without it those of the token's hero, or else the connection is staff's. */
  heroId?: number;
  /** Where the token comes from, with `GALLEY_AUTH=jwt`. Asked for anew at each connection, and before the token of an open one expires. */
  token?: TokenProvider;
  /** Where placements wait for their answers; the default lives as long as the program. */
  keeper?: Keeper;
  /** The class of sockets where there is no global `WebSocket`: that of the package `ws`. */
  webSocket?: unknown;
  backoff?: Backoff;
  /** The most commands that wait for their answers; beyond, a command is refused with `OutboxFull`. */
  maxWaiting?: number;
  /** The most ended orders that are remembered; beyond, the oldest are forgotten. */
  maxEnded?: number;
}

/** What can be listened to: every frame by its type, and what the client makes of them. */
export type Events = { [T in ServerFrame["type"]]: Frame<T> } & {
  /** The connection stands elsewhere now. */
  state: State;
  /** What is known of the orders has changed, by a frame of this type or by `learn`. */
  change: Change & { by: ServerFrame["type"] | "learn" };
  /** Other changes than before wait for their answers. */
  pending: readonly Pending[];
  /** A line as it went out. */
  sent: string;
  /** A line as it came in. */
  received: string;
};

/** Problems after which the same command may be sent again: nothing was changed, or doing it twice does no harm. */
const LATER = new Set(["overloaded", "rate-limited", "draining", "unavailable"]);
/** So often; then the problem is the answer. */
const MAX_DEFERRED = 10;
/** Placements that were kept for longer are dropped: nobody wants yesterday's lunch. */
const MAX_AGE = 3_600_000;
/** How long the question why a handshake failed may take. */
const DIAGNOSIS = 5_000;

/** A connection to Galley that comes back by itself. */
export class Galley extends Emitter<Events> {
  readonly rest: Rest;
  readonly #options: Options;
  readonly #keeper: Keeper;
  readonly #outbox: Outbox;
  readonly #connection: Connection;
  readonly #renewal: Renewal;
  readonly #later = new Set<ReturnType<typeof setTimeout>>();
  readonly #placing = new Set<string>();
  #picture: Picture;
  #watch: Watch | undefined;

  constructor(options: Options) {
    super();
    this.#options = options;
    this.rest = rest(options.url, options.token);
    this.#keeper = options.keeper ?? memoryKeeper();
    this.#outbox = new Outbox(options.maxWaiting ?? 100);
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
      diagnose: () => this.#diagnose(),
      onState: (state) => {
        if (!isOpen(state)) this.#renewal.stop();
        this.emit("state", state);
      },
      onLine: (line) => this.#hear(line),
      waiting: () => this.#outbox.size > 0,
    });
  }

  get state(): State {
    return this.#connection.state;
  }

  /** The newest states of the orders, the newest order first. */
  get orders(): Order[] {
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
    return pendingOf(this.#outbox.all());
  }

  /** Begins; resolves when the gateway has said welcome, rejects when it never will. */
  async connect(): Promise<void> {
    this.#adopt();
    this.#connection.open();
    const settled = (state: State) => state.name === "connected" || state.name === "closed";
    const state = settled(this.state) ? this.state : await this.once("state", settled);
    if (state.name === "closed") throw new Error(`${state.reason.code}: ${state.reason.detail}`);
  }

  /** Tries again at once instead of waiting for the end of the pause. */
  retryNow(): void {
    this.#connection.retryNow();
  }

  /** Asks the gateway whether it is there, for instance after the network changed. Its silence is known within seconds. */
  check(): void {
    this.#connection.check();
  }

  /**
   * Shows the gateway the provider's token on the open connection, for providers that know before the gateway says so. Resolves with
   * whether the gateway took it; false when there is no connection, or the token is the one that the gateway has.
   */
  renew(): Promise<boolean> {
    return this.#renewal.renew();
  }

  /** Ends for good. What waits for an answer is rejected; placements stay kept. */
  close(): void {
    this.#connection.close({ code: "closed", detail: "the client was closed" });
    for (const timer of this.#later) clearTimeout(timer);
    this.#later.clear();
    for (const waiting of this.#outbox.all()) {
      this.#outbox.remove(waiting.id);
      waiting.failed(new Closed());
    }
    this.emit("pending", this.pending);
  }

  /** Orders a meal, once, whatever happens on the way. `traceparent` names the span of the click (W3C Trace Context). */
  async place(mealId: number, { traceparent }: { traceparent?: string } = {}): Promise<Order> {
    this.#outbox.room();
    const kept: Kept = { key: newKey(), meal_id: mealId, at: Date.now() };
    this.#keeper.keep(kept);
    return this.#place(kept, traceparent);
  }

  /** Cancels an order; rejects with `already-finished` when that came too late. */
  async cancel(orderId: number, reason?: string): Promise<Order> {
    const command: Command<"cancel"> = { type: "cancel", order_id: orderId, ...(reason ? { reason } : {}) };
    return (await this.#ask(command, cancelledBefore)).order;
  }

  /** Deletes an order that has ended. */
  async delete(orderId: number): Promise<void> {
    await this.#ask<{ deleted: boolean }>({ type: "delete", order_id: orderId } satisfies Command<"delete">, deletedBefore);
  }

  async get(orderId: number): Promise<Order> {
    return (await this.#ask<{ order: Order }>({ type: "get", order_id: orderId } satisfies Command<"get">)).order;
  }

  /** A page of the orders, the newest first. */
  list(options: { status?: Status[]; limit?: number; cursor?: string } = {}): Promise<Page<Order>> {
    return this.#ask({ type: "orders", ...options } satisfies Command<"orders">);
  }

  menu(cursor?: string): Promise<Page<Meal>> {
    return this.#ask({ type: "menu", ...(cursor ? { cursor } : {}) } satisfies Command<"menu">);
  }

  /** Watches the whole feed from now on (staff); after each reconnection what was missed comes first. Resolves with the totals, if the gateway knows them. */
  async watch(watch: Watch = {}): Promise<Totals | undefined> {
    this.#watch = undefined;
    const { totals } = await this.#ask<{ totals?: Totals }>({ type: "watch", ...watch } satisfies Command<"watch">);
    // From now on it is said again after each welcome; until now it waited in the outbox.
    this.#watch = watch;
    return totals;
  }

  /** Resolves when the gateway has answered. */
  async ping(): Promise<void> {
    await this.#ask<object>({ type: "ping" } satisfies Command<"ping">);
  }

  /** Sends a line as it is, for consoles; false when there is no connection. Its answer is a `reply` or `error` event. */
  sendLine(line: string): boolean {
    const sent = this.#connection.send(line);
    if (sent) this.emit("sent", line);
    return sent;
  }

  /** Forgets what is known of the orders, cursor included. */
  forget(): void {
    this.#picture = new Picture(this.#options.maxEnded ?? 10_000);
  }

  /** Takes in states that were read elsewhere, from REST for instance. */
  learn(orders: readonly Order[]): void {
    this.#changed(this.#picture.learn(orders), "learn");
  }

  /** What an earlier life of this program kept is placed again under the same keys. */
  #adopt(): void {
    for (const kept of this.#keeper.all()) {
      if (this.#placing.has(kept.key)) continue;
      if (Date.now() - kept.at > MAX_AGE) this.#keeper.forget(kept.key);
      else if (this.#outbox.size < this.#outbox.bound) this.#place(kept).catch(() => {});
    }
  }

  async #place(kept: Kept, traceparent?: string): Promise<Order> {
    this.#placing.add(kept.key);
    const command: Command<"place"> = { type: "place", meal_id: kept.meal_id, key: kept.key, ...(traceparent ? { traceparent } : {}) };
    try {
      const { order } = await this.#ask<{ order: Order }>(command);
      this.#keeper.forget(kept.key);
      return order;
    } catch (error) {
      if (error instanceof ProblemError) this.#keeper.forget(kept.key);
      throw error;
    } finally {
      this.#placing.delete(kept.key);
    }
  }

  /** Gives a command out and waits for its answer. A problem may be a good answer to a command that was repeated. */
  #ask<Reply>(command: Command, excuse?: (error: Frame<"error">) => Reply | undefined): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const answered: Waiting["answered"] = (answer, repeated) => {
        if (answer.type !== "error") return resolve(answer as unknown as Reply);
        const excused = repeated ? excuse?.(answer) : undefined;
        if (excused === undefined) reject(new ProblemError(answer.problem));
        else resolve(excused);
      };
      this.#send(this.#outbox.add(command, answered, reject));
      this.emit("pending", this.pending);
    });
  }

  #send(waiting: Waiting): void {
    if (!this.sendLine(waiting.line)) return;
    waiting.sends += 1;
  }

  #hear(line: string): void {
    this.emit("received", line);
    let frame: ServerFrame;
    try {
      frame = JSON.parse(line) as ServerFrame;
    } catch {
      // Not of this protocol; whoever listens to lines sees it.
      return;
    }
    if (frame.type === "welcome") this.#welcome(frame);
    if (frame.type === "reconnect") this.#connection.hint(frame.after_ms);
    if (frame.type === "expiring") this.#renewal.expiring(frame.after_ms);
    this.#changed(this.#picture.apply(frame), frame.type);
    if (frame.type === "reply" || frame.type === "error" || frame.type === "pong") this.#settle(frame);
    this.emit(frame.type, frame as never);
  }

  #welcome(frame: Frame<"welcome">): void {
    const unsure = this.#picture.orders().filter(isActive);
    this.#connection.welcomed();
    if (this.#watch && !frame.hero) this.sendLine(JSON.stringify({ type: "watch", ...this.#watch, cursor: this.#picture.cursor }));
    for (const waiting of this.#outbox.all()) this.#send(waiting);
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

  #settle(answer: Answer): void {
    this.#renewal.hear(answer);
    const waiting = this.#outbox.get(answer.id);
    if (!waiting) return;
    if (answer.type === "error" && LATER.has(slugOf(answer.problem)) && waiting.deferred < MAX_DEFERRED) {
      const wait = (answer.problem.retry_after_ms ?? 0) + pause(waiting.deferred, this.#options.backoff);
      waiting.deferred += 1;
      const timer = setTimeout(() => {
        this.#later.delete(timer);
        this.#send(waiting);
      }, wait);
      this.#later.add(timer);
      return;
    }
    this.#outbox.remove(waiting.id);
    this.emit("pending", this.pending);
    waiting.answered(answer, waiting.sends > 1);
  }

  #changed(change: Change, by: Events["change"]["by"]): void {
    if (change.orders.length + change.deleted.length > 0) this.emit("change", { ...change, by });
  }

  #address(): string {
    const address = at(this.#options.url, "/ws");
    address.protocol = address.protocol.replace("http", "ws");
    const { heroId } = this.#options;
    if (heroId !== undefined) address.searchParams.set("hero_id", String(heroId));
    if (this.#picture.cursor !== undefined) address.searchParams.set("cursor", this.#picture.cursor);
    return address.href;
  }

  /** Asks over REST why no socket can be had. */
  async #diagnose(): Promise<Diagnosis> {
    const { heroId, url, token } = this.#options;
    const path = heroId === undefined ? "/readyz" : `/heroes/${heroId}`;
    try {
      const present = await token?.();
      const headers: Record<string, string> = present ? { Authorization: `Bearer ${present}` } : {};
      const answer = await fetch(at(url, path), { headers, signal: AbortSignal.timeout(DIAGNOSIS) });
      const detail = `the gateway answers ${answer.status}`;
      const retryAfter = Number(answer.headers.get("Retry-After") ?? 0) * 1_000 || 0;
      await answer.body?.cancel();
      if (answer.status === 401) return { reason: { code: "unauthorized", detail }, advice: token ? "new-token" : "no" };
      if (answer.status === 403) return { reason: { code: "forbidden", detail }, advice: "no" };
      if (answer.status === 404) return { reason: { code: "hero-not-found", detail }, advice: "no" };
      if (answer.status === 429 || answer.status === 503) return { reason: { code: "busy", detail }, advice: "back-off", retryAfter };
      return { reason: { code: "busy", detail: "the gateway takes no socket" }, advice: "back-off" };
    } catch {
      return { reason: { code: "unreachable", detail: "nobody answers" }, advice: "back-off" };
    }
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
