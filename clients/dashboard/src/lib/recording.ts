// Recordings of frames: JSON lines, one frame a line, `{"at":"…","direction":"sent","text":"…"}`. They hold no tokens.

import { HIDDEN, redacted, type Frame } from "./frames";

/** The largest file that is opened, in bytes. */
export const MAX_FILE = 64 * 2 ** 20;

export type Recorded = Pick<Frame, "at" | "sent" | "text">;

/** A file that is no recording, by the number of its first wrong line. */
export class NoRecording extends Error {
  constructor(readonly line: number) {
    super(`line ${line} is no frame`);
  }
}

export function toLines(frames: readonly Recorded[]): string {
  const line = ({ at, sent, text }: Recorded) => JSON.stringify({ at: new Date(at).toISOString(), direction: sent ? "sent" : "received", text });
  return frames.map((frame) => `${line(frame)}\n`).join("");
}

/** Reads a recording; throws a `NoRecording`. */
export function fromLines(file: string): Recorded[] {
  const lines = file.replace(/^\uFEFF/, "").split(/\r?\n/);
  const frames = lines.flatMap((line, index) => (line.trim() === "" ? [] : [frameIn(line, index + 1)]));
  if (frames.length === 0) throw new NoRecording(1);
  return frames;
}

/** What was sent and can be sent again: without the commands whose token was taken out. */
export const repeatable = (frames: readonly Recorded[]): Recorded[] => frames.filter(({ sent, text }) => sent && !text.includes(HIDDEN));

function frameIn(line: string, number: number): Recorded {
  let parsed: { at?: unknown; direction?: unknown; text?: unknown } | null;
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch {
    throw new NoRecording(number);
  }
  const { at, direction, text } = parsed ?? {};
  const time = typeof at === "string" ? Date.parse(at) : NaN;
  if (Number.isNaN(time) || (direction !== "sent" && direction !== "received") || typeof text !== "string") throw new NoRecording(number);
  return { at: time, sent: direction === "sent", text: redacted(text) };
}
