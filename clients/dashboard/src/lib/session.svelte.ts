// What all views share: the token, REST, and the connection of the view that is shown.

import { Galley, rest, storageKeeper, type Problem, type State } from "galley-client";

const TOKEN = "galley.token";

class Session {
  /** The gateway asked for a token that we do not have, or ours expires soon. */
  tokenWanted = $state(false);
  /** Grows with each token that no open connection took: views begin anew. */
  epoch = $state(0);
  /** Where the connection of the present view stands. */
  state = $state.raw<State>({ name: "idle" });
  #client: Galley | undefined;
  readonly rest = rest(location.origin, () => this.#token());

  constructor() {
    this.rest.use({
      onResponse: ({ response }) => {
        if (response.status === 401) this.tokenWanted = true;
      },
    });
    addEventListener("online", () => this.#client?.retryNow());
  }

  /** A client of the view that is shown, for a hero or for staff. It begins at once; whoever opens it closes it. */
  open(heroId?: number): Galley {
    const options = { url: location.origin, token: () => this.#token() };
    const keeper = storageKeeper(localStorage, `galley.placements.${heroId}`);
    const client = new Galley(heroId === undefined ? options : { ...options, heroId, keeper });
    this.#client = client;
    client.on("state", (state) => {
      if (this.#client !== client) return;
      this.state = state;
      if (state.name === "closed" && state.reason.code === "unauthorized") this.tokenWanted = true;
    });
    client.on("expiring", () => {
      if (this.#client === client) this.tokenWanted = true;
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

  async useToken(token: string): Promise<void> {
    sessionStorage.setItem(TOKEN, token.trim());
    this.tokenWanted = false;
    // An open connection goes on with it, unless it is another caller's: then views begin anew.
    if (!(await this.#client?.renew())) this.epoch += 1;
  }

  #token(): string | undefined {
    return sessionStorage.getItem(TOKEN) ?? undefined;
  }
}

export const session = new Session();

/** What a REST call gave, or the problem it met; a network that is away is a problem too. */
export async function answered<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<
  { data: T; response: Response; problem?: undefined } | { problem: Problem; data?: undefined }
> {
  try {
    const { data, error, response } = await call;
    if (response.ok) return { data: data as T, response };
    return { problem: isProblem(error) ? error : nothing(response.status, response.statusText) };
  } catch (error) {
    return { problem: nothing(0, error instanceof Error ? error.message : String(error)) };
  }
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "detail" in value && "title" in value;
}

const nothing = (status: number, detail: string): Problem => ({ type: "/problems/unavailable", title: String(status), status, detail });
