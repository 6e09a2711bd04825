// A sign-in may go on in a tab of its own. Its answer goes back to the tab that began it.

import type { Pending } from "./landing";

/** Another tab answers within this time. */
const HEARD = 1_000;

type Said = { query?: unknown; taken?: unknown } | null;

let channel: BroadcastChannel | undefined;
try {
  channel = new BroadcastChannel("galley.sign-in");
} catch {
  // Signing in then takes the tab of the page.
}

/** Takes the answer to this sign-in as soon as another tab has it. */
export function awaitAnswer(pending: Pending, take: (query: string) => void): void {
  const hear = ({ data }: MessageEvent<Said>) => {
    const query = data?.query;
    if (typeof query !== "string" || new URLSearchParams(query).get("state") !== pending.state) return;
    channel?.removeEventListener("message", hear);
    channel?.postMessage({ taken: query });
    take(query);
  };
  channel?.addEventListener("message", hear);
}

/** Offers an answer to the tab that began; resolves with whether there is one. */
export function offer(query: string): Promise<boolean> {
  return new Promise((resolve) => {
    channel?.addEventListener("message", ({ data }: MessageEvent<Said>) => data?.taken === query && resolve(true));
    channel?.postMessage({ query });
    setTimeout(() => resolve(false), HEARD);
  });
}
