import { onDestroy } from "svelte";

/**
 * Returns whether the component that is being made is still there. After each wait a component asks: what it derives ends with it, and
 * what it leads to is no longer wanted.
 */
export function presence(): () => boolean {
  let present = true;
  onDestroy(() => (present = false));
  return () => present;
}
