// Prints the names of the types that Modelina makes of the AsyncAPI document.
//
//   node frames.mjs FOLDER-OF-THE-GENERATORS asyncapi.json

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [tools, file] = process.argv.slice(2);
const { TypeScriptGenerator } = createRequire(`${tools}/`)("@asyncapi/modelina");
const models = await new TypeScriptGenerator().generate(JSON.parse(readFileSync(file, "utf8")));
for (const { modelName } of models) console.log(modelName);
