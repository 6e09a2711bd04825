// The lines that the arrows bring back, in the browser's storage. A line with a token is never kept.

import { redacted } from "./frames";
import { remember, remembered } from "./memory";

const NAME = "console.history";
/** The most lines, and the most characters of one; a longer line is not kept. */
const MAX_LINES = 100;
const MAX_LENGTH = 2_000;

export class CommandHistory {
  #lines = read();
  #at = this.#lines.length;
  /** What was being typed before the arrows were used. */
  #draft = "";

  add(line: string): void {
    // Another tab may have added lines.
    this.#lines = read();
    if (line.length <= MAX_LENGTH && redacted(line) === line && this.#lines.at(-1) !== line) {
      this.#lines = [...this.#lines, line].slice(-MAX_LINES);
      remember(NAME, JSON.stringify(this.#lines));
    }
    this.#at = this.#lines.length;
  }

  /** The line one step further back, or forward; after the newest one, what was being typed. */
  step(by: -1 | 1, typed: string): string {
    if (this.#at === this.#lines.length) this.#draft = typed;
    this.#at = Math.min(this.#lines.length, Math.max(0, this.#at + by));
    return this.#lines[this.#at] ?? this.#draft;
  }
}

function read(): string[] {
  try {
    const lines = JSON.parse(remembered(NAME) ?? "[]") as unknown;
    return Array.isArray(lines) ? lines.filter((line) => typeof line === "string").slice(-MAX_LINES) : [];
  } catch {
    return [];
  }
}
