// For runtimes with a standard output: `run.js ADDRESS`. They end by themselves once every client is closed.

import { perform } from "./behaviours.js";

await perform(process.argv[2], (outcome) => console.log(JSON.stringify(outcome)));
