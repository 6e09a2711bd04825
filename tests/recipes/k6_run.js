// Runs a script of k6 once, and prints what it measured when nothing is left to do.

const script = await import(process.argv[2]);
process.once("exit", () => console.log(JSON.stringify(globalThis.k6.measured)));
script.default(script.setup());
