// The answer of the identity provider in the address. It is taken out of there at once, so that neither the address nor the history keeps it.

import { ofTab } from "./memory";

const PENDING = "galley.sign-in.pending";

/** A sign-in that was begun: what its answer has to fit. */
export interface Pending {
  state: string;
  nonce: string;
  verifier: string;
  /** The view to come back to. */
  hash: string;
}

/** An answer, with the sign-in that this tab had begun. */
export interface Landing {
  query: string;
  pending: Pending | undefined;
}

/** Keeps a sign-in for the answer that will come to this tab. */
export const keepPending = (pending: Pending): void => ofTab.setItem(PENDING, JSON.stringify(pending));

function takePending(): Pending | null {
  const kept = ofTab.getItem(PENDING);
  ofTab.removeItem(PENDING);
  try {
    return JSON.parse(kept ?? "null") as Pending | null;
  } catch {
    return null;
  }
}

function land(): Landing | undefined {
  const query = new URLSearchParams(location.search);
  if (!query.has("code") && !query.has("error")) return undefined;
  const pending = takePending();
  const ours = pending?.state === query.get("state") ? pending : undefined;
  history.replaceState(null, "", location.pathname + (ours?.hash ?? location.hash));
  return { query: query.toString(), pending: ours };
}

/** What this page was loaded with. */
export const landing = land();
