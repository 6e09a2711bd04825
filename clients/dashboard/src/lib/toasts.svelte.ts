import { announcer } from "./announcer.svelte";

/** A short message to somebody who just did something. */
export interface Toast {
  id: number;
  kind: "good" | "bad";
  text: string;
}

/** The most at once; beyond, the oldest goes. */
const MAX = 4;
const STAYS = 6_000;

class Toasts {
  all = $state<Toast[]>([]);
  #next = 1;

  /** Shows a message, and returns the number by which it can be dismissed. */
  good = (text: string): number => this.#add("good", text);
  bad = (text: string): number => this.#add("bad", text);

  dismiss(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }

  #add(kind: Toast["kind"], text: string): number {
    const id = this.#next++;
    this.all = [...this.all, { id, kind, text }].slice(-MAX);
    announcer.say(text);
    // What went wrong stays until it is dismissed or pushed out.
    if (kind === "good") setTimeout(() => this.dismiss(id), STAYS);
    return id;
  }
}

export const toasts = new Toasts();
