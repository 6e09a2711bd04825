/** Listeners by the name of what they wait for. */
export class Emitter<Events> {
  #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Listens, until the function that is returned is called. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Resolves with the next one that satisfies the condition. */
  once<Name extends keyof Events>(name: Name, wanted: (event: Events[Name]) => boolean = () => true): Promise<Events[Name]> {
    return new Promise((resolve) => {
      const stop = this.on(name, (event) => {
        if (!wanted(event)) return;
        stop();
        resolve(event);
      });
    });
  }

  protected emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) (listener as (event: Events[Name]) => void)(event);
  }
}
