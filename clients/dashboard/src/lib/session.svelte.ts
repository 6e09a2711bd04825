// What all views share: REST, and the connection of the view that is shown, both with the token of whoever signed in.

import { Galley, rest, storageKeeper, type Problem, type State } from "galley-client";
import { edits } from "./edits.svelte";
import { gateway } from "./gateway";
import { clocked } from "./clocked";
import { login } from "./login.svelte";
import { lasting } from "./memory";
import { ofAnswer, withoutAnswer } from "./problems";

class Session {
  /** Grows when somebody else signs in: views begin anew. */
  epoch = $state(0);
  /** Where the connection of the present view stands. */
  state = $state.raw<State>({ name: "idle" });
  #client: Galley | undefined;
  /** Who wants to hear that the connection is there, or there again. */
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
    addEventListener("online", () => {
      this.#client?.retryNow();
      for (const listener of this.#back) listener();
    });
    // After a sleep or on another network a connection may be dead without anybody having said so.
    for (const event of ["online", "pageshow"]) addEventListener(event, () => this.#client?.check());
    document.addEventListener("visibilitychange", () => document.hidden || this.#client?.check());
  }

  /** Listens to the connection being there again, until the function that is returned is called. */
  onBack(listener: () => void): () => void {
    this.#back.add(listener);
    return () => this.#back.delete(listener);
  }

  /** A client of the view that is shown, for a hero or for staff. It begins at once; whoever opens it closes it. */
  open(heroId?: number): Galley {
    const options = { url: gateway, token: login.token };
    const keeper = storageKeeper(lasting, `galley.placements.${heroId}`);
    const client = new Galley(heroId === undefined ? options : { ...options, heroId, keeper });
    this.#client = client;
    client.on("state", (state) => {
      if (this.#client !== client) return;
      const back = state.name === "connected" && this.state.name !== "connected";
      this.state = state;
      if (back) for (const listener of this.#back) listener();
      if (state.name === "closed" && state.reason.code === "unauthorized") login.refused(login.token());
    });
    // How it stands is told by its state.
    client.connect().catch(() => {});
    this.state = client.state;
    return client;
  }

  /** Ends a client. */
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

  /** Goes on with another token of the same caller: an open connection takes it, and what was refused is asked again. */
  async #goOn(): Promise<void> {
    if (!(await this.#client?.renew())) this.retryNow();
    for (const listener of this.#back) listener();
  }
}

export const session = new Session();

/** A REST call. */
export type Call<T> = Promise<{ data?: T; error?: unknown; response: Response }>;
/** What a REST call gave, or the problem that it met. */
export type Result<T> = { data: T; problem?: undefined } | { problem: Problem; data?: undefined };

/** Waits for what a call gives; a network that is away is a problem too. */
export async function answered<T>(call: Call<T>): Promise<Result<T>> {
  try {
    const { data, error, response } = await call;
    return response.ok ? { data: data as T } : { problem: ofAnswer(error, response.status) };
  } catch (error) {
    return { problem: withoutAnswer(error) };
  }
}
