// The sign-in that all tabs share: how it begins, is renewed and ends.

import { pause, rest, type CallerReport, type Problem, type SignInReport } from "galley-client";
import { untrack } from "svelte";
import { i18n } from "../i18n/index.svelte";
import { clocked } from "./clocked";
import { alone, drop, keep, kept, onChange, type Credentials } from "./credentials";
import { gateway } from "./gateway";
import { keepPending, landing, type Landing, type Pending } from "./landing";
import { lasting } from "./memory";
import { now } from "./now.svelte";
import { awaitAnswer, offer } from "./other_tabs";
import { describe, ofAnswer, withoutAnswer } from "./problems";
import { Provider, SignInTrouble } from "./provider";
import type { View } from "./route.svelte";
import { toasts } from "./toasts.svelte";
import { claimsOf, endOf, mistakeOf, momentOf, tokenIn } from "./tokens";

/** A token is renewed when a quarter of its life is left, or this many milliseconds. */
const AHEAD = 120_000;
/** A warning comes this many milliseconds before the end of a token that cannot be renewed. */
const NOTICE = 60_000;
const RETRY = { base: 1_000, cap: 8_000 };
const LONGEST_TIMER = 2 ** 31 - 1;

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Login {
  /** The ways to sign in here, as the gateway tells; empty until it has answered. */
  how = $state.raw<SignInReport>({});
  /** Whether the ways to sign in are known, so that the page can be shown. */
  ready = $state(false);
  /** The caller whose token this is. It stays when the token ends. */
  caller = $state.raw<CallerReport | undefined>();
  /** The failure of the last sign-in, as a sentence. */
  trouble = $state.raw<(() => string) | undefined>();
  #credentials = $state.raw<Credentials | undefined>();
  /** The gateway has refused the present token. */
  #refused = $state(false);
  /** The last renewal failed. */
  #stuck = $state(false);
  #renewing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Renewals that have failed one after another. */
  #attempt = 0;
  /** The token that the gateway is checking at present. */
  #taking: string | undefined;
  /** Whether the provider shall ask for the account at the next sign-in, since another person may sign in. */
  #mistaken = false;
  /** Is called when there is another token, of the same caller or not. */
  onToken: (same: boolean) => void = () => {};

  readonly #end = $derived(this.#credentials ? endOf(this.#credentials.token) : Infinity);
  readonly #renewable = $derived(this.#credentials?.refresh !== undefined && !this.#refused);
  /** Whether a token is needed and nobody has signed in. */
  readonly wanted = $derived(this.how.tokens !== undefined && this.caller === undefined);
  /** The sentence about the end of the sign-in, if it has ended or is about to. */
  readonly ended = $derived.by((): (() => string) | undefined => {
    if (!this.caller || this.how.tokens === undefined) return undefined;
    const at = this.#end;
    const over = (words: string) => `${words} ${i18n.words.signIn.kept}`;
    if (at <= now.value && (!this.#renewable || this.#stuck)) return () => over(i18n.words.signIn.ended(momentOf(at)));
    if (this.#refused) return () => over(i18n.words.signIn.refused);
    if (at - now.value < NOTICE && !this.#renewable) return () => i18n.words.signIn.ending(momentOf(at));
    return undefined;
  });
  /** The hero of the caller; `undefined` for staff, who may choose. */
  readonly hero = $derived(this.caller?.role === "hero" ? this.caller.hero_id : undefined);
  /** The name of the person, for staff. */
  readonly name = $derived(this.#credentials?.name ?? this.caller?.subject);

  constructor() {
    onChange(() => this.#follow());
    void this.#start();
  }

  /** The present token. It is not tracked: a view does not begin anew when it changes. */
  token = (): string | undefined => untrack(() => this.#credentials?.token);

  /** Whether this view is for the caller. */
  sees = (view: View): boolean => !this.wanted && (this.hero === undefined || view === "order" || view === "console");

  /** Takes note that the gateway has refused this token. */
  refused(token: string | undefined): void {
    if (!token || token !== this.token() || this.#refused) return;
    if (this.#renewable) void this.#renew();
    else this.#refused = true;
  }

  /** Signs in with a pasted token. */
  async paste(text: string): Promise<void> {
    const token = tokenIn(text);
    // Other texts are not sent: one may be a secret of something else.
    if (!claimsOf(token)) this.trouble = mistakeOf(token, this.how.tokens!, now.read());
    else await this.#take({ token }, true);
  }

  /** Goes to the identity provider; in another tab if there is work on this page that would be lost. */
  async signIn(): Promise<void> {
    const provider = this.#provider;
    if (!provider) return;
    if (!globalThis.crypto.subtle) return void (this.trouble = () => i18n.words.signIn.insecure);
    const tab = this.caller || !lasting.keeps ? open("", "_blank") : undefined;
    try {
      await provider.reach();
      // After a refused token the provider asks for the account, so that another one can be chosen.
      const { address, pending } = await provider.begin(location.hash, this.#mistaken ? "login" : undefined);
      if (tab) {
        awaitAnswer(pending, (query) => void this.#finish(query, pending));
        tab.location.href = address;
      } else {
        keepPending(pending);
        location.assign(address);
      }
    } catch (error) {
      tab?.close();
      this.#fail(error);
    }
  }

  /** Signs out in all tabs, and at the provider if it has an address for that. */
  signOut(): void {
    const address = this.#credentials?.id && this.#provider?.signOutAddress(this.#credentials);
    drop();
    this.#forget(undefined);
    if (address) location.assign(address);
    // The session of this provider goes on, so that it has to ask for the account next time.
    else this.#mistaken = true;
  }

  get #provider(): Provider | undefined {
    const { provider, endpoints } = this.how;
    return provider && endpoints && new Provider(provider, endpoints);
  }

  async #start(): Promise<void> {
    let arrived = landing;
    // The page is shown even if the gateway does not tell the ways to sign in. A provider that is down is asked again.
    for (let attempt = 0; ; attempt++) {
      const { data } = await clocked(rest(gateway)).GET("/sign-in").catch(() => ({ data: undefined }));
      if (data) this.how = data;
      if (data?.tokens && arrived) await this.#arrive(arrived);
      if (data?.tokens && !this.token()) await this.#recall();
      if (data) arrived = undefined;
      this.ready = true;
      if (data && (!data.provider || data.endpoints)) return;
      await sleep(pause(attempt, RETRY));
    }
  }

  /** Adopts the credentials that this or another tab has stored. */
  async #recall(): Promise<void> {
    const told = this.trouble;
    const before = kept();
    if (before) await this.#take(before, false);
    // A failed sign-in does not matter to somebody who is signed in already.
    if (this.caller && told) toasts.bad(told());
  }

  /** Follows another tab that has signed in, renewed the token or signed out. */
  #follow(): void {
    const present = kept();
    if (!present && this.caller) this.#forget(() => i18n.words.signIn.signedOut);
    else if (present?.token === this.token()) this.#credentials = present;
    else if (present && this.how.tokens) void this.#take(present, false);
  }

  /** Takes the answer of the provider that this tab was loaded with. Another tab may have begun that sign-in. */
  async #arrive({ query, pending }: Landing): Promise<void> {
    if (pending) return this.#finish(query, pending);
    const elsewhere = await offer(query);
    if (elsewhere) close();
    this.trouble = () => (elsewhere ? i18n.words.signIn.elsewhere : i18n.words.signIn.stale);
  }

  async #finish(query: string, pending: Pending): Promise<void> {
    try {
      const provider = this.#provider;
      if (!provider) throw new SignInTrouble(() => i18n.words.signIn.away, true);
      await this.#take(await provider.finish(query, pending), true);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Adopts credentials after the gateway has named their caller. */
  async #take(credentials: Credentials, isNew: boolean): Promise<void> {
    const { token, refresh } = credentials;
    if (!isNew && refresh && this.token() === undefined && endOf(token) <= now.read()) {
      this.#credentials = credentials;
      return this.#renew();
    }
    this.#taking = token;
    for (let attempt = 0; this.#taking === token; attempt++) {
      const { data, error, response } = await clocked(rest(gateway, () => token))
        .GET("/me")
        .catch((failure: unknown) => ({ data: undefined, error: withoutAnswer(failure), response: undefined }));
      if (this.#taking !== token) return;
      if (data) return this.#adopt(credentials, data, isNew);
      if (response?.status === 401) return this.#reject(token, isNew);
      const problem = response ? ofAnswer(error, response.status) : (error as Problem);
      // The gateway cannot read the provider's keys.
      const isAway = problem.status === 503 && this.how.provider !== undefined;
      this.trouble = () => (isAway ? i18n.words.signIn.away : describe(problem));
      this.ready = true;
      await sleep(pause(attempt, RETRY));
    }
  }

  #adopt(credentials: Credentials, caller: CallerReport, isNew: boolean): void {
    const before = this.caller;
    if (isNew) keep(credentials);
    this.#credentials = credentials;
    this.caller = caller;
    this.trouble = undefined;
    this.#refused = this.#stuck = this.#mistaken = false;
    this.#schedule();
    const { role, hero_id, subject } = caller;
    if (before) this.onToken(before.role === role && before.hero_id === hero_id && before.subject === subject);
  }

  #reject(token: string, isNew: boolean): void {
    if (this.caller && !isNew) this.#refused = true;
    this.#mistaken = true;
    this.trouble = !isNew && endOf(token) <= now.read() ? endWords(token) : mistakeOf(token, this.how.tokens!, now.read());
  }

  /** Renews the token. A provider takes each refresh token once, so that one tab asks for all. */
  #renew(): Promise<void> {
    const token = this.token();
    return (this.#renewing ??= alone(() => this.#renewOnce(token)).finally(() => (this.#renewing = undefined)));
  }

  async #renewOnce(token: string | undefined): Promise<void> {
    const present = this.#credentials;
    const newer = kept();
    if (!present || present.token !== token) return;
    if (newer && newer.token !== token) return this.#take(newer, false);
    try {
      const provider = this.#provider;
      if (!provider) throw new SignInTrouble(() => i18n.words.signIn.away, true);
      const next = await provider.renew(present);
      // Somebody may have signed out meanwhile.
      if (this.#credentials?.token !== token) return;
      keep(next);
      this.#attempt = 0;
      await this.#take(next, false);
    } catch (error) {
      this.#fail(error);
      this.#stuck = true;
      const passing = error instanceof SignInTrouble && error.passing;
      if (passing) this.#timer = setTimeout(() => void this.#renew(), pause(this.#attempt++, RETRY));
      else {
        this.#credentials = { ...present, refresh: undefined };
        this.trouble = this.caller ? undefined : endWords(present.token);
      }
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const left = this.#end - now.read();
    const wait = Math.max(0, left - Math.min(AHEAD, left / 4));
    if (this.#renewable) this.#timer = setTimeout(() => void this.#renew(), Math.min(wait, LONGEST_TIMER));
  }

  #fail(error: unknown): void {
    if (!(error instanceof SignInTrouble)) throw error;
    this.trouble = error.tell;
  }

  #forget(why: (() => string) | undefined): void {
    clearTimeout(this.#timer);
    this.#taking = this.#credentials = this.caller = undefined;
    this.trouble = why;
  }
}

const endWords = (token: string) => () => i18n.words.signIn.ended(momentOf(endOf(token)));

export const login = new Login();
