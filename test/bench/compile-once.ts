import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { compileConfig } from "../../src/config/index.ts";

/** One compilation, or one parse of the YAML alone, in a process that has done neither before. Prints milliseconds. */
const [what, file = ""] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
const began = performance.now();
if (what === "parse") parse(text);
else {
  const { compiled } = await compileConfig(text);
  if (Object.keys(compiled?.jobs ?? {}).length !== 1000) throw new Error("the config did not compile to 1,000 jobs");
}
process.stdout.write(String(performance.now() - began));
