// Hooks for React.

import { useCallback, useEffect, useMemo, useSyncExternalStore } from "react";
import { Galley } from "./client.js";
import type { Events } from "./events.js";
import type { Options } from "./options.js";
import type { Pending } from "./pending.js";
import type { State } from "./state.js";
import type { Order } from "./types.js";

/**
 * A client that connects when the component is mounted and is closed with it. Another `url` or `heroId` makes another client; the
 * other options are those of the first time.
 */
export function useGalley(options: Options): Galley {
  const client = useMemo(() => new Galley(options), [String(options.url), options.heroId]);
  useEffect(() => {
    // How it stands is told by `useConnection`.
    client.connect().catch(() => {});
    return () => client.close();
  }, [client]);
  return client;
}

function useEvent<T>(client: Galley, event: keyof Events, read: () => T): T {
  const subscribe = useCallback((changed: () => void) => client.on(event, () => changed()), [client, event]);
  return useSyncExternalStore(subscribe, read, read);
}

/** The newest states of the orders, the newest order first. */
export const useOrders = (client: Galley): readonly Order[] => useEvent(client, "change", () => client.orders);

/** Where the connection stands. */
export const useConnection = (client: Galley): State => useEvent(client, "state", () => client.state);

/** The changes that wait for their answers. */
export const usePending = (client: Galley): readonly Pending[] => useEvent(client, "pending", () => client.pending);
