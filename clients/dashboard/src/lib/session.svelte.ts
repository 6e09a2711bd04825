// The state that all views share: REST, and the connection of the present view, both with the token of the sign-in.

import { Galley, rest, storageKeeper, type Problem, type State } from "galley-client";
import { i18n } from "../i18n/index.svelte";
import { edits } from "./edits.svelte";
import { gateway } from "./gateway";
import { clocked } from "./clocked";
import { login } from "./login.svelte";
import { lasting } from "./memory";
import { ofAnswer, withoutAnswer } from "./problems";

class Session {
  /** A number that grows when somebody else signs in; the views begin anew with it. */
  epoch = $state(0);
  /** The state of the connection of the present view. */
  state = $state.raw<State>({ name: "idle" });
  #client: Galley | undefined;
  /** The listeners that are called when the connection is open, for the first time or again. */
  #back = new Set<() => void>();
  readonly rest = clocked(rest(gateway, login.token));

  constructor() {
    this.rest.use({
      onResponse: ({ request, response }) => {
        if (response.status === 401) login.refused(request.headers.get("Authorization")?.replace("Bearer ", ""));
      },
    });
    login.onToken = (same) => {
      if (same) void this.#goOn();
      else edits.leave(() => (this.epoch += 1));
    };
    // The client asks by itself whether its connection still lives.
    addEventListener("online", () => {
      for (const listener of this.#back) listener();
    });
  }

  /** Calls the listener whenever the connection has been opened, until the returned function is called. */
  onBack(listener: () => void): () => void {
    this.#back.add(listener);
    return () => this.#back.delete(listener);
  }

  /** Opens the client of a view, for a hero or for staff, and connects at once. The view closes it. */
  open(heroId?: number): Galley {
    const ofHero = heroId === undefined ? {} : { heroId, keeper: storageKeeper(lasting, `galley.placements.${heroId}`) };
    const client = new Galley({
      url: gateway,
      token: login.token,
      ...ofHero,
      // Each connection is in the language of its time.
      get lang() {
        return i18n.language;
      },
    });
    this.#client = client;
    client.on("state", (state) => {
      if (this.#client !== client) return;
      const back = state.name === "connected" && this.state.name !== "connected";
      this.state = state;
      if (back) for (const listener of this.#back) listener();
      if (state.name === "closed" && state.reason.code === "unauthorized") login.refused(login.token());
    });
    // A failure shows in the state.
    client.connect().catch(() => {});
    this.state = client.state;
    return client;
  }

  /** Closes a client. */
  close(client: Galley): void {
    if (this.#client === client) {
      this.#client = undefined;
      this.state = { name: "idle" };
    }
    client.close();
  }

  retryNow(): void {
    if (this.#client?.state.name === "closed") this.#client.connect().catch(() => {});
    else this.#client?.retryNow();
  }

  /** Goes on with another token of the same caller: the open connection takes it, and refused requests are repeated. */
  async #goOn(): Promise<void> {
    if (!(await this.#client?.renew())) this.retryNow();
    for (const listener of this.#back) listener();
  }
}

export const session = new Session();

/** A REST call. */
export type Call<T> = Promise<{ data?: T; error?: unknown; response: Response }>;
/** The result of a REST call, or its problem. */
export type Result<T> = { data: T; problem?: undefined } | { problem: Problem; data?: undefined };

/** Waits for the result of a REST call. A network that is down gives a problem too. */
export async function answered<T>(call: Call<T>): Promise<Result<T>> {
  try {
    const { data, error, response } = await call;
    return response.ok ? { data: data as T } : { problem: ofAnswer(error, response.status) };
  } catch (error) {
    return { problem: withoutAnswer(error) };
  }
}
