import { GalleyError } from "./errors.js";
import { bounded, type CallOptions } from "./waiting.js";

/** Something that the program gave to the client threw. */
export interface Faults {
  fault: GalleyError;
}

/** Listeners by the name of what they wait for. A listener that throws stops nobody else: it becomes a `fault`. */
export class Emitter<Events extends Faults> {
  #listeners = new Map<keyof Events, Set<(event: never) => unknown>>();

  /** Listens, until the function that is returned is called. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => unknown): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Resolves with the next one that satisfies the condition. */
  once<Name extends keyof Events>(
    name: Name,
    wanted: (event: Events[Name]) => boolean = () => true,
    options: CallOptions = {},
  ): Promise<Events[Name]> {
    return bounded(options, (resolve, reject) => {
      const stop = this.on(name, (event) => {
        try {
          if (!wanted(event)) return;
          resolve(event);
        } catch (error) {
          reject(error);
        }
        stop();
      });
      return () => {
        stop();
        return false;
      };
    });
  }

  protected emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      this.guard(`a listener to "${String(name)}"`, () => {
        const outcome = (listener as (event: Events[Name]) => unknown)(event);
        // An asynchronous listener that rejects would otherwise end a program in Node.
        if (outcome instanceof Promise) outcome.catch((error: unknown) => this.#fault(`a listener to "${String(name)}"`, error));
      });
    }
  }

  /** Calls what the program gave to the client. If it throws, the client goes on. */
  protected guard<T>(what: string, callback: () => T): T | undefined {
    try {
      return callback();
    } catch (error) {
      this.#fault(what, error);
      return undefined;
    }
  }

  #fault(what: string, cause: unknown): void {
    const fault = new GalleyError("callback", `${what} threw: ${String(cause)}`, { cause });
    const listeners = this.#listeners.get("fault");
    if (!listeners?.size) return console.error(fault);
    for (const listener of listeners) {
      try {
        (listener as (event: GalleyError) => unknown)(fault);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
