// Composables for Vue, for `setup` or any other effect scope.

import { onScopeDispose, shallowRef, type ShallowRef } from "vue";
import { Galley } from "./client.js";
import type { Events } from "./events.js";
import type { Options } from "./options.js";
import type { Pending } from "./pending.js";
import type { State } from "./state.js";
import type { Order } from "./types.js";

/** A client that connects at once and is closed with the component. */
export function useGalley(options: Options): Galley {
  const client = new Galley(options);
  // How it stands is told by `useConnection`.
  client.connect().catch(() => {});
  onScopeDispose(() => client.close());
  return client;
}

function useEvent<T>(client: Galley, event: keyof Events, read: () => T): Readonly<ShallowRef<T>> {
  const value = shallowRef(read());
  onScopeDispose(client.on(event, () => (value.value = read())));
  return value;
}

/** The newest states of the orders, the newest order first. */
export const useOrders = (client: Galley): Readonly<ShallowRef<readonly Order[]>> => useEvent(client, "change", () => client.orders);

/** Where the connection stands. */
export const useConnection = (client: Galley): Readonly<ShallowRef<State>> => useEvent(client, "state", () => client.state);

/** The changes that wait for their answers. */
export const usePending = (client: Galley): Readonly<ShallowRef<readonly Pending[]>> => useEvent(client, "pending", () => client.pending);
