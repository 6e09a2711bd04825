// One connection that comes back by itself: with back-off, as the gateway's hints and close codes ask for.

import { after, pause, type Backoff } from "./backoff.js";
import { closeCodes, type Advice } from "./generated/closes.js";
import { isOpen, type Reason, type ReasonCode, type State } from "./state.js";

/** What is used of a WebSocket; that of browsers has it, that of the package `ws` too. */
export interface Socket {
  readonly readyState: number;
  send(line: string): void;
  close(code?: number, reason?: string): void;
  onmessage: ((event: { data: any }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: any) => void) | null;
}

export type SocketClass = new (url: string, protocols: string[]) => Socket;

export interface ConnectionOptions {
  socketClass: SocketClass;
  backoff: Backoff;
  /** Where to, at each attempt; it carries the cursor. */
  address: () => string;
  protocols: () => Promise<string[]>;
  /** Why a handshake failed: a page cannot see the answer to it. */
  diagnose: () => Promise<Diagnosis>;
  onState: (state: State) => void;
  onLine: (line: string) => void;
  /** Whether a command waits for its answer. */
  waiting: () => boolean;
}

/** What to make of a failed handshake. */
export interface Diagnosis {
  reason: Reason;
  advice: Advice;
  /** The gateway's `Retry-After`, in milliseconds. */
  retryAfter?: number;
}

/** A handshake with its welcome may take so long. */
const HANDSHAKE = 10_000;
/** After so much silence the gateway is asked whether it is there; the network answers nobody's pings to a page. */
const SILENCE = 25_000;
const LOOK = 5_000;
/** A command that waits for its answer makes silence suspicious much sooner. With the next bound: within three seconds. */
const PATIENCE = 1_000;
/** After so much silence following the question, the gateway counts as not answering; what it says later is still taken. */
const DOUBT = 2_000;
/** After so much more, the connection is given up and made anew. */
const GIVE_UP = 6_000;
/** Some sockets never fire `close` after `error`, the one of Node 22 after a failed handshake: then so much later it is over. */
const CLOSE_AFTER_ERROR = 250;
/** A connection that held so long was a good one: the next loss begins with a short pause again. */
const GOOD = 5_000;
const OPEN = 1;
const GONE = 1008;

const CODES: Readonly<Record<number, ReasonCode>> = {
  1001: "busy",
  1008: "forbidden",
  1012: "restart",
  1013: "busy",
  4401: "unauthorized",
  4403: "forbidden",
  4408: "unauthorized",
};

export class Connection {
  #state: State = { name: "idle" };
  #socket: Socket | undefined;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #heard = 0;
  /** When the pulse was last felt: a machine that slept felt none. */
  #felt = 0;
  /** The next step of the question whether the gateway is there: asking, doubting, giving up. */
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #asking = false;
  /** When the gateway asked to come back, should it close the connection. */
  #hint: number | undefined;
  /** The last attempt failed for its token: another one is tried once. */
  #tokenFailed = false;

  constructor(readonly options: ConnectionOptions) {}

  get state(): State {
    return this.#state;
  }

  /** Begins, or begins again after an end. */
  open(): void {
    if (this.#state.name !== "idle" && this.#state.name !== "closed") return;
    this.#attempt = 0;
    this.#tokenFailed = false;
    void this.#try();
  }

  /** Does not wait for the end of the pause. */
  retryNow(): void {
    if (this.#state.name === "waiting" || this.#state.name === "unresponsive") void this.#try();
  }

  /** Ends for good. */
  close(reason: Reason): void {
    this.#let(1000);
    this.#enter({ name: "closed", reason });
  }

  /** Hands a line to the socket; false when there is none. */
  send(line: string): boolean {
    if (!isOpen(this.#state) || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(line);
    this.#doubt ??= setTimeout(() => this.check(), PATIENCE);
    return true;
  }

  /** Asks whether the gateway is there, unless that is being asked. */
  check(): void {
    if (this.#state.name !== "connected" || this.#asking || this.#socket?.readyState !== OPEN) return;
    this.#calm();
    this.#socket.send('{"type":"ping"}');
    this.#await();
  }

  /** The welcome has come. */
  welcomed(): void {
    clearTimeout(this.#timer);
    this.#tokenFailed = false;
    this.#felt = Date.now();
    this.#pulse = setInterval(() => this.#feel(), LOOK);
    this.#enter({ name: "connected", since: Date.now() });
  }

  /** The gateway leaves: come back after so many milliseconds. */
  hint(afterMs: number): void {
    this.#hint = Date.now() + afterMs;
  }

  async #try(): Promise<void> {
    this.#let();
    const current: State = { name: "connecting", attempt: this.#attempt };
    this.#enter(current);
    // Whoever was told may have closed the client.
    if (this.#state !== current) return;
    let protocols: string[];
    try {
      protocols = await this.options.protocols();
    } catch (error) {
      if (this.#state === current) this.#again({ code: "unauthorized", detail: String(error) });
      return;
    }
    if (this.#state !== current) return;
    let socket: Socket;
    try {
      socket = new this.options.socketClass(this.options.address(), protocols);
    } catch (error) {
      // The address is a good one. A token of letters that no header takes is not, and pages with TLS may not speak without it.
      const detail = String(error);
      if (protocols.length > 1) this.#follow({ reason: { code: "unauthorized", detail }, advice: "new-token" });
      else this.#follow({ reason: { code: "refused", detail }, advice: "no" });
      return;
    }
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onmessage = ({ data }) => {
      this.#hear(data);
    };
    socket.onerror = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#ended(1006, ""), CLOSE_AFTER_ERROR);
    };
    socket.onclose = ({ code, reason }) => void this.#ended(code, reason);
    this.#timer = setTimeout(() => this.#again({ code: "silent", detail: "no welcome came" }), HANDSHAKE);
  }

  async #ended(code: number, text: string): Promise<void> {
    const before = this.#state;
    const welcomed = isOpen(before);
    this.#let();
    const known = closeCodes[code];
    const detail = text || known?.reason || `the connection ended with ${code}`;
    const reason: Reason = { code: CODES[code] ?? (known?.reconnect === "no" ? "refused" : "lost"), detail };
    // 1005 and 1006 say nothing: before a welcome, that is a handshake that failed. 1008 has several causes, among them that the hero
    // is gone.
    const failed = !welcomed && known === undefined;
    if (failed || code === GONE) {
      const diagnosis = await this.options.diagnose();
      if (this.#state !== before) return;
      if (failed || diagnosis.advice !== "back-off") return this.#follow(diagnosis);
    }
    if (welcomed && Date.now() - before.since > GOOD) this.#attempt = 0;
    const retryAfter = this.#hint === undefined ? 0 : Math.max(0, this.#hint - Date.now());
    this.#hint = undefined;
    this.#follow({ reason, advice: known?.reconnect ?? "back-off", retryAfter });
  }

  #follow({ reason, advice, retryAfter }: Diagnosis): void {
    if (advice === "no" || (advice === "new-token" && this.#tokenFailed)) {
      this.#enter({ name: "closed", reason });
      return;
    }
    this.#tokenFailed = advice === "new-token";
    this.#again(reason, retryAfter);
  }

  /** Tries again after a pause, which is never shorter than the gateway asked for. */
  #again(reason: Reason, atLeast = 0): void {
    this.#let();
    const wait = atLeast + pause(this.#attempt, this.options.backoff);
    this.#attempt += 1;
    this.#timer = after(wait, () => void this.#try());
    this.#enter({ name: "waiting", reason, attempt: this.#attempt, until: Date.now() + wait });
  }

  /** Whatever comes is a sign of life. */
  #hear(data: unknown): void {
    this.#heard = Date.now();
    // Other frames may have been sent before the question: it stays open until its answer.
    const isOpenQuestion = this.#asking && !String(data).includes("pong");
    this.#calm();
    if (isOpenQuestion) this.#await();
    if (this.#state.name === "unresponsive") this.#enter({ name: "connected", since: this.#state.since });
    if (typeof data === "string") this.options.onLine(data);
    if (isOpen(this.#state) && this.options.waiting()) this.#doubt ??= setTimeout(() => this.check(), PATIENCE);
  }

  /** Looks whether the other side still lives. A machine that slept asks at once, and so does one whose clock was set. */
  #feel(): void {
    const since = (moment: number) => Math.abs(Date.now() - moment);
    if (since(this.#heard) > SILENCE || since(this.#felt) > 2 * LOOK) this.check();
    this.#felt = Date.now();
  }

  /** Waits for the answer to the question. */
  #await(): void {
    this.#asking = true;
    this.#doubt = setTimeout(() => this.#suspect(), DOUBT);
  }

  #suspect(): void {
    if (this.#state.name !== "connected") return;
    this.#doubt = setTimeout(() => this.#again({ code: "silent", detail: "nothing came for too long" }), GIVE_UP);
    this.#enter({ name: "unresponsive", since: this.#state.since });
  }

  #calm(): void {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
    this.#asking = false;
  }

  /** Lets go of the socket and of every timer. Does not wait for the other side to close: it may be gone. */
  #let(code?: number): void {
    clearTimeout(this.#timer);
    clearInterval(this.#pulse);
    this.#calm();
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.onerror = () => {};
    socket.close(code ?? 1000);
  }

  #enter(state: State): void {
    this.#state = state;
    this.options.onState(state);
  }
}
