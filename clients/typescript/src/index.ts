export { pause, type Backoff } from "./backoff.js";
export { Galley, type Events, type Options } from "./client.js";
export { Closed, OutboxFull, ProblemError, slugOf } from "./errors.js";
export { closeCodes } from "./generated/closes.js";
export { memoryKeeper, storageKeeper, type Keeper, type Kept } from "./keeper.js";
export { Picture, type Change } from "./picture.js";
export { rest, type Rest, type TokenProvider } from "./rest.js";
export type { Reason, ReasonCode, State } from "./state.js";
export * from "./types.js";
