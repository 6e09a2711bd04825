// The frames that the Console shows. Everything here is bounded: beyond the bounds the oldest frames go, and their number is told.

import { frameOf, type Frame } from "./frames";

/** The most frames that are kept, and the most characters in them. */
export const MAX_FRAMES = 20_000;
const MAX_LENGTH = 16 * 2 ** 20;
/** Frames that come within so many milliseconds are drawn together. */
const EVERY = 80;

export interface Filter {
  types: readonly string[];
  /** `sent`, `received` or both. */
  direction: string;
  /** In lower case. */
  text: string;
}

/** Frames up to the bounds. A tenth goes at a time, so that a full list costs no more than a short one. */
export class Shelf {
  readonly frames: Frame[] = [];
  dropped = 0;
  #length = 0;

  push(frame: Frame): void {
    this.frames.push(frame);
    this.#length += frame.text.length;
    while (this.frames.length > MAX_FRAMES || this.#length > MAX_LENGTH) {
      const gone = this.frames.splice(0, Math.ceil(this.frames.length / 10));
      for (const { text } of gone) this.#length -= text.length;
      this.dropped += gone.length;
    }
  }
}

export class FrameLog {
  /** What the filter lets through. */
  shown = $state.raw<readonly Frame[]>([]);
  total = $state(0);
  /** Older frames that are kept no more. */
  dropped = $state(0);
  /** Frames that came while the list is held still. */
  waiting = $state(0);
  paused = $state(false);
  /** How many frames of each type are kept. */
  counts = $state.raw<ReadonlyMap<string, number>>(new Map());
  #filter: Filter = { types: [], direction: "", text: "" };
  #kept = new Shelf();
  #new = new Shelf();
  #next = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;

  add(at: number, sent: boolean, text: string): Frame {
    const frame = frameOf(this.#next++, at, sent, text);
    this.#new.push(frame);
    this.#timer ??= setTimeout(() => this.draw(), EVERY);
    return frame;
  }

  /** Frames that are kept, the newest last. */
  get frames(): readonly Frame[] {
    return this.#kept.frames;
  }

  set filter(filter: Filter) {
    this.#filter = filter;
    this.shown = this.#kept.frames.filter((frame) => matches(frame, filter));
  }

  toggle(): void {
    this.paused = !this.paused;
    this.draw();
  }

  clear(): void {
    [this.#kept, this.#new] = [new Shelf(), new Shelf()];
    this.draw();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Shows what came, unless the list is held still. */
  draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.waiting = this.paused ? this.#new.frames.length : 0;
    this.dropped = this.#kept.dropped + this.#new.dropped;
    if (this.paused) return;
    const { frames: fresh, dropped } = this.#new;
    this.#new = new Shelf();
    for (const frame of fresh) this.#kept.push(frame);
    this.#kept.dropped += dropped;
    this.dropped = this.#kept.dropped;
    const { frames } = this.#kept;
    this.total = frames.length;
    const first = frames[0]?.id ?? Infinity;
    const from = this.shown.findIndex(({ id }) => id >= first);
    const matching = fresh.filter((frame) => frame.id >= first && matches(frame, this.#filter));
    this.shown = [...(from < 0 ? [] : this.shown.slice(from)), ...matching];
    this.counts = count(frames);
  }
}

function matches({ type, sent, text }: Frame, filter: Filter): boolean {
  if (filter.types.length > 0 && !filter.types.includes(type)) return false;
  if (filter.direction !== "" && (filter.direction === "sent") !== sent) return false;
  return filter.text === "" || text.toLowerCase().includes(filter.text);
}

function count(frames: readonly Frame[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { type } of frames) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}
