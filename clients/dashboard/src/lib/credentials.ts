// What people signed in with, in the storage of the browser, where every tab sees it change. Where site data is blocked, this tab has it.

import { lasting } from "./memory";
import { claimsOf } from "./tokens";

const KEPT = "galley.sign-in";

export interface Credentials {
  token: string;
  /** For the next token. */
  refresh?: string | undefined;
  /** The ID token, which names the session that ends with a sign-out. */
  id?: string | undefined;
  /** The name of whoever signed in. */
  name?: string | undefined;
}

export const keep = (credentials: Credentials): void => lasting.setItem(KEPT, JSON.stringify(credentials));
export const drop = (): void => lasting.removeItem(KEPT);

/** What is kept, if it can be used. */
export function kept(): Credentials | undefined {
  try {
    const found = JSON.parse(lasting.getItem(KEPT) ?? "null") as Credentials | null;
    return found && claimsOf(String(found.token)) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Calls this when another tab has changed it. */
export function onChange(follow: () => void): void {
  addEventListener("storage", ({ key }) => {
    if (key === KEPT || key === null) follow();
  });
}

/** One tab at a time does this. There are no locks without TLS, and no providers either. */
export function alone(task: () => Promise<void>): Promise<void> {
  return navigator.locks ? Promise.resolve(navigator.locks.request(KEPT, task)) : task();
}
