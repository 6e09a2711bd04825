import { onDestroy } from "svelte";
import { session } from "./session.svelte";

/** So old may be what somebody else changed elsewhere. */
const EVERY = 3_000;

/**
 * Calls this every few seconds as long as the component is there and somebody looks, and at once when the page comes into sight or the
 * connection is back. While nobody answers it is not called: the connection tells when that is over.
 */
export function regularly(refresh: () => Promise<unknown>): void {
  let running = false;
  const run = async () => {
    const away = ["connecting", "waiting", "unresponsive"].includes(session.state.name);
    if (running || away || document.hidden) return;
    running = true;
    await refresh().catch(() => {});
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
