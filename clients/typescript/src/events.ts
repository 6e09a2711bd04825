import type { Faults } from "./emitter.js";
import type { Pending } from "./pending.js";
import type { Change } from "./picture.js";
import type { State } from "./state.js";
import type { Frame, ServerFrame } from "./types.js";

/** What can be listened to: every frame by its type, and what the client makes of them. */
export type Events = Faults & { [T in ServerFrame["type"]]: Frame<T> } & {
  /** The connection stands elsewhere now. */
  state: State;
  /** What is known of the orders has changed, by a frame of this type, by `learn` or by `forget`. */
  change: Change & { by: ServerFrame["type"] | "learn" | "forget" };
  /** Other changes than before wait for their answers. */
  pending: readonly Pending[];
  /** A line as it went out. */
  sent: string;
  /** A line as it came in. */
  received: string;
};
