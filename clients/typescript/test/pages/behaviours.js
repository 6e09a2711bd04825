import { perform } from "../behaviour/behaviours.js";

globalThis.outcomes = [];
await perform(location.origin, (outcome) => globalThis.outcomes.push(outcome));
globalThis.done = true;
