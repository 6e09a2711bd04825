// The time of the service, as far as this page can tell, for ages and plots; and that of the viewer, for countdowns.

/** A `Date` header names whole seconds. */
const GRAIN = 1_000;

class Now {
  /** The time of the viewer's clock. */
  local = $state(Date.now());
  /** The service's clock is ahead of the viewer's by no less and no more than this. */
  #least = -Infinity;
  #most = Infinity;
  #offset = $state(0);
  /** The time of the service. */
  readonly value = $derived(this.local + this.#offset);

  constructor() {
    setInterval(() => (this.local = Date.now()), 500);
  }

  /** The time of the service at this moment. */
  read = (): number => Date.now() + this.#offset;

  /** Learns from the `Date` of an answer to what was asked between these moments of the viewer's clock. */
  learn(date: string | null, asked: number, answered: number): void {
    const at = Date.parse(date ?? "");
    if (!Number.isFinite(at)) return;
    const [least, most] = [at - answered, at + GRAIN - asked];
    // Each answer narrows what is possible. A clock that was set meanwhile makes that impossible, and learning begins anew.
    const agrees = least <= this.#most && most >= this.#least;
    this.#least = agrees ? Math.max(least, this.#least) : least;
    this.#most = agrees ? Math.min(most, this.#most) : most;
    // A viewer's clock that may be right is believed.
    this.#offset = this.#least <= 0 && this.#most >= 0 ? 0 : (this.#least + this.#most) / 2;
  }
}

export const now = new Now();
