/** How long to wait before trying again. */
export interface Backoff {
  /** The bound of the first pause, in milliseconds. */
  base: number;
  /** The bound of every pause. */
  cap: number;
}

export const defaultBackoff: Backoff = { base: 250, cap: 10_000 };

/**
 * A pause with full jitter: anything from nothing to a bound that doubles with each attempt. So the clients of a restarted
 * gateway spread over the whole time instead of coming back in waves.
 */
export function pause(attempt: number, { base, cap }: Backoff = defaultBackoff, random: () => number = Math.random): number {
  return random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}

/** Timers hold no more; a longer wait would end at once. */
export const LONGEST = 2 ** 31 - 1;

/** Does something later, whatever was asked for. */
export const after = (wait: number, callback: () => void): ReturnType<typeof setTimeout> => setTimeout(callback, Math.min(wait, LONGEST));
