// Records the frames that come from now on, up to a bound at which it ends by itself.

import { download } from "./export";
import { MAX_FRAMES } from "./frame_log.svelte";
import { toLines, type Recorded } from "./recording";

/** The most characters of a recording; beside it, `MAX_FRAMES` bounds the frames. */
const MAX_LENGTH = 16 * 2 ** 20;

export class Recorder {
  /** How many frames were recorded; nothing while nothing is. */
  count = $state<number | undefined>();
  #frames: Recorded[] = [];
  #length = 0;

  /** `onfull` hears that the bound was reached: what was recorded has been saved. */
  constructor(readonly onfull: () => void) {}

  begin(): void {
    [this.#frames, this.#length, this.count] = [[], 0, 0];
  }

  add(frame: Recorded): void {
    if (this.count === undefined) return;
    this.#length += frame.text.length;
    this.count = this.#frames.push(frame);
    if (this.count < MAX_FRAMES && this.#length < MAX_LENGTH) return;
    this.end();
    this.onfull();
  }

  /** Ends, and saves what was recorded. */
  end(): void {
    if (this.count) save(this.#frames);
    this.#frames = [];
    this.count = undefined;
  }
}

/** Saves frames as a file. */
export function save(frames: readonly Recorded[]): void {
  const at = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  download(`galley-frames-${at}.jsonl`, "application/x-ndjson", toLines(frames));
}
