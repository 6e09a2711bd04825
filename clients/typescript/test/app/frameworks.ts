// The types of the sub-paths.

import type { Galley, Order, Pending, State } from "galley-client";
import * as react from "galley-client/react";
import * as svelte from "galley-client/svelte";
import * as vue from "galley-client/vue";

export function inReact(url: string): [Galley, readonly Order[], State, readonly Pending[]] {
  const galley = react.useGalley({ url, heroId: 4 });
  return [galley, react.useOrders(galley), react.useConnection(galley), react.usePending(galley)];
}

export function inVue(url: string): [readonly Order[], State, readonly Pending[]] {
  const galley = vue.useGalley({ url, heroId: 4 });
  return [vue.useOrders(galley).value, vue.useConnection(galley).value, vue.usePending(galley).value];
}

export function inSvelte(galley: Galley): () => void {
  const stops = [
    svelte.ordersOf(galley).subscribe((orders: readonly Order[]) => void orders.length),
    svelte.connectionOf(galley).subscribe((state: State) => void state.name),
    svelte.pendingOf(galley).subscribe((pending: readonly Pending[]) => void pending.length),
  ];
  return () => stops.forEach((stop) => stop());
}
