// How long a caller waits.

import { LONGEST } from "./backoff.js";
import { GaveUp, invalid } from "./errors.js";

/** What every call takes. */
export interface CallOptions {
  /** Ends the wait: the call rejects with the code `aborted`. */
  signal?: AbortSignal | undefined;
  /** Ends the wait after so many milliseconds: the call rejects with the code `timeout`. */
  timeout?: number | undefined;
}

/**
 * A promise for which the caller waits as long as it wants. `begin` begins the work and returns how to give it up, which says
 * whether the gateway may have received it.
 */
export function bounded<T>(
  { signal, timeout }: CallOptions,
  begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => boolean,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (timeout !== undefined && !(timeout >= 0)) throw invalid(`timeout: ${timeout} is no number of milliseconds`);
    const aborted = () => giveUp("aborted", "the call was aborted");
    const give = { up: () => false };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settled = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    };
    const failed = (error: unknown) => {
      settled();
      reject(error);
    };
    const giveUp = (code: "aborted" | "timeout", message: string) =>
      failed(new GaveUp(code, give.up(), message, code === "aborted" ? { cause: signal?.reason } : undefined));
    if (signal?.aborted) return aborted();
    // A longer time-out is none.
    if (timeout !== undefined && timeout <= LONGEST) timer = setTimeout(() => giveUp("timeout", `no answer within ${timeout} ms`), timeout);
    signal?.addEventListener("abort", aborted);
    try {
      give.up = begin((value) => {
        settled();
        resolve(value);
      }, failed);
    } catch (error) {
      failed(error);
    }
  });
}
