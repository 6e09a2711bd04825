// The credentials of the sign-in, in the storage of the browser that all tabs share. Where site data is blocked, they live in this tab.

import { lasting } from "./memory";
import { claimsOf } from "./tokens";

const KEPT = "galley.sign-in";

export interface Credentials {
  token: string;
  /** The refresh token, with which the next token is asked for. */
  refresh?: string | undefined;
  /** The ID token; a sign-out hands it to the provider, so that the right session ends. */
  id?: string | undefined;
  /** The name of the person. */
  name?: string | undefined;
}

export const keep = (credentials: Credentials): void => lasting.setItem(KEPT, JSON.stringify(credentials));
export const drop = (): void => lasting.removeItem(KEPT);

/** Returns the stored credentials, unless they are none. */
export function kept(): Credentials | undefined {
  try {
    const found = JSON.parse(lasting.getItem(KEPT) ?? "null") as Credentials | null;
    return found && claimsOf(String(found.token)) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Calls `follow` when another tab has stored or dropped credentials. */
export function onChange(follow: () => void): void {
  addEventListener("storage", ({ key }) => {
    if (key === KEPT || key === null) follow();
  });
}

/** Runs a task in one tab at a time. Pages without TLS have no locks; there are no identity providers for them either. */
export function alone(task: () => Promise<void>): Promise<void> {
  return navigator.locks ? Promise.resolve(navigator.locks.request(KEPT, task)) : task();
}
