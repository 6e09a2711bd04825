/** As long as it takes to see that a control means something else now. */
const NOTICE = 800;

/** Whether a value has stayed as it is for long enough to be read: a control whose meaning hangs on it takes no click before. */
export class Steady {
  #last: unknown;
  #changed = $state(false);

  constructor(value: () => unknown) {
    this.#last = value();
    $effect(() => {
      const present = value();
      if (present === this.#last) return;
      this.#last = present;
      this.#changed = true;
      const timer = setTimeout(() => (this.#changed = false), NOTICE);
      return () => clearTimeout(timer);
    });
  }

  get now(): boolean {
    return !this.#changed;
  }
}
