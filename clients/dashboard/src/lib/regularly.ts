import { onDestroy } from "svelte";
import { presence } from "./presence";
import { session } from "./session.svelte";

/** So old may be what somebody else changed elsewhere. */
const EVERY = 3_000;

/**
 * Calls this every few seconds as long as the component is there and somebody looks, and at once when the page comes into sight or the
 * connection is back. While nobody answers it is not called: the connection tells when that is over. It is told whether the component
 * is still there.
 */
export function regularly(refresh: (present: () => boolean) => Promise<unknown>): void {
  const present = presence();
  let running = false;
  const run = async () => {
    const away = ["connecting", "waiting", "unresponsive"].includes(session.state.name);
    if (running || away || document.hidden) return;
    running = true;
    await refresh(present).catch(() => {});
    running = false;
  };
  const start = () => void run();
  const timer = setInterval(start, EVERY);
  document.addEventListener("visibilitychange", start);
  const back = session.onBack(start);
  onDestroy(() => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", start);
    back();
  });
}
