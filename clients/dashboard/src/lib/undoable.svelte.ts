// Something that is done 5 s after it was asked for, so that it can be undone. Nothing is done if the view or the page is left before, and
// the page says so.

import { i18n } from "../i18n/index.svelte";
import { ofTab } from "./memory";
import { toasts } from "./toasts.svelte";

/** The time in which it can be undone, in milliseconds. */
const UNDO = 5_000;
/** The entry in the storage of the tab that says that something waits: a page that is loaded anew tells people. */
const NOTE = "galley.undoable";

const waiting = new Set<Undoable>();

export class Undoable {
  /** The seconds that are left; `undefined` while nothing waits. */
  left = $state<number | undefined>();
  #timer: ReturnType<typeof setInterval> | undefined;

  begin(act: () => void): void {
    // Not the clock of the viewer, which may be set meanwhile.
    const due = performance.now() + UNDO;
    const tick = () => {
      this.left = Math.ceil((due - performance.now()) / 1_000);
      if (this.left > 0) return;
      this.undo();
      act();
    };
    waiting.add(this);
    ofTab.setItem(NOTE, "1");
    this.#timer = setInterval(tick, 200);
    tick();
  }

  undo(): void {
    clearInterval(this.#timer);
    this.left = undefined;
    waiting.delete(this);
    if (waiting.size === 0) ofTab.removeItem(NOTE);
  }
}

/** The view is left: undoes what waits, and says so. */
export function undoAll(): void {
  if (waiting.size > 0) toasts.bad(i18n.words.common.leftBefore);
  for (const one of [...waiting]) one.undo();
}

if (ofTab.getItem(NOTE)) toasts.bad(i18n.words.common.leftBefore);
ofTab.removeItem(NOTE);
