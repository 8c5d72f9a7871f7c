// Compares the config compiler with a corpus of other people's configs and of what CircleCI made of them. The corpus is
// no part of the project: COFFERDAM_CORPUS says where it lies. One line a set; failing cases by name; exit 1 on any.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Corpus } from "./corpus/corpus.ts";
import { sets } from "./corpus/sets.ts";

const directory = resolve(process.env["COFFERDAM_CORPUS"] ?? join(import.meta.dirname, "../../shared/corpus"));
const only = process.argv.slice(2);

if (existsSync(join(directory, "configs/index.tsv"))) {
  process.exitCode = (await run(new Corpus(directory))) ? 0 : 1;
} else {
  console.log(`No corpus at ${directory}: nothing was compared. COFFERDAM_CORPUS=DIR says where it is.`);
}

async function run(corpus: Corpus): Promise<boolean> {
  let good = true;
  for (const [name, check] of Object.entries(sets)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const startMs = performance.now();
    const outcomes = await check(corpus);
    const excused = outcomes.filter((one) => one.problem !== undefined && one.excuse !== undefined);
    const failures = outcomes.filter((one) => one.problem !== undefined && one.excuse === undefined);
    const counted = outcomes.length - excused.length;
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    console.log(`${name} ${counted - failures.length}/${counted} (${seconds} s)`);
    for (const { name: file, excuse, problem } of excused)
      console.log(`  ${name} ${file} is not counted: ${excuse}; ${problem}`);
    for (const failure of failures) console.log(`  ${name} ${failure.name}: ${failure.problem}`);
    // A set without cases compares nothing, and so proves nothing.
    good &&= failures.length === 0 && counted > 0;
  }
  return good;
}
