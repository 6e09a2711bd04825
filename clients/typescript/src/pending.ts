// Changes that were asked for and not answered, for programs that show them before the gateway does.

import type { Waiting } from "./outbox.js";
import type { Command } from "./types.js";

type Change = Command<"place"> | Command<"cancel"> | Command<"delete">;

/** A change that waits for its answer: the command, with a number of its own. */
export type Pending = Change & { readonly id: number };

/** The changes among the commands that wait. */
export function pendingOf(waiting: readonly Waiting[]): Pending[] {
  return waiting.flatMap(({ id, command }) => (isChange(command) ? [{ ...command, id }] : []));
}

const isChange = (command: Command): command is Change => ["place", "cancel", "delete"].includes(command.type);
