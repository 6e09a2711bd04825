// Stores for Svelte: `const orders = ordersOf(client)`, then `$orders`.

import type { Galley } from "./client.js";
import type { Events } from "./events.js";
import type { Pending } from "./pending.js";
import type { State } from "./state.js";
import type { Order } from "./types.js";

/** A store that can only be read, as Svelte defines it. */
export interface Store<T> {
  subscribe(run: (value: T) => void): () => void;
}

const store = <T>(client: Galley, event: keyof Events, read: () => T): Store<T> => ({
  subscribe(run) {
    const stop = client.on(event, () => run(read()));
    run(read());
    return stop;
  },
});

/** The newest states of the orders, the newest order first. */
export const ordersOf = (client: Galley): Store<readonly Order[]> => store(client, "change", () => client.orders);

/** Where the connection stands. */
export const connectionOf = (client: Galley): Store<State> => store(client, "state", () => client.state);

/** The changes that wait for their answers. */
export const pendingOf = (client: Galley): Store<readonly Pending[]> => store(client, "pending", () => client.pending);
