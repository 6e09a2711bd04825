/** The scenarios by their names, in the order in which their files are imported. */
export const scenarios = new Map();

/** Adds a scenario; its body gets a stage (`stage.js`). */
export function test(name, body) {
  if (scenarios.has(name)) throw new Error(`two scenarios have the name "${name}"`);
  scenarios.set(name, body);
}
