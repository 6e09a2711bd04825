/** As long as it takes to see that a control means something else now. */
const NOTICE = 800;

/** Whether a value has stayed as it is for long enough to be read: a control whose meaning hangs on it takes no click before. */
export class Steady {
  #last: unknown;
  #changed = $state(false);

  constructor(value: () => unknown) {
    this.#last = value();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The timer outlives a run of the effect: what it reads may change while the value stays as it is.
    $effect(() => {
      const present = value();
      if (present === this.#last) return;
      this.#last = present;
      this.#changed = true;
      clearTimeout(timer);
      timer = setTimeout(() => (this.#changed = false), NOTICE);
    });
  }

  get now(): boolean {
    return !this.#changed;
  }
}
