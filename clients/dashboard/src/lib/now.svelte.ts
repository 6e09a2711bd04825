/** The time, twice a second, for ages and countdowns. */
class Now {
  value = $state(Date.now());

  constructor() {
    setInterval(() => (this.value = Date.now()), 500);
  }
}

export const now = new Now();
