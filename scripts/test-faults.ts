import { writeFile } from "node:fs/promises";
import { startFaultEngine } from "../test/faults/engine.ts";
import { faults } from "../test/faults/faults.ts";
import { type Result, runRound } from "../test/faults/run.ts";
import { wordsOr } from "./words.ts";

/**
 * `npm run test:faults`: real processes on two engines of their own, and everything that may happen to them. Prints a line for each
 * fault; exits with 1 when one came out wrong. The same seed rolls the same dice.
 */
const usage = "usage: npm run test:faults -- [--repeat N] [--only ID,ID…] [--seed S] [--json FILE] [--list]";
const { values } = wordsOr(usage, {
  options: {
    repeat: { type: "string", default: "1" },
    only: { type: "string", multiple: true },
    seed: { type: "string", default: String(Date.now()) },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  },
});
const rounds = Number(values.repeat);
const wanted = values.only?.flatMap((ids) => ids.split(","));
const unknown = wanted?.filter((id) => !faults.some((fault) => fault.id === id)) ?? [];
if (!Number.isInteger(rounds) || rounds < 1 || unknown.length > 0) {
  process.stderr.write(`${unknown.map((id) => `there is no fault ${id}; see --list\n`).join("")}${usage}\n`);
  process.exit(2);
}
const chosen = wanted ? faults.filter(({ id }) => wanted.includes(id)) : faults;
if (values.list) {
  for (const { id, what } of chosen) process.stdout.write(`${id.padEnd(5)} ${what}\n`);
  process.exit(0);
}

const results: Result[] = [];
const [shared, killed] = await Promise.all([startFaultEngine("shared"), startFaultEngine("killed")]);
try {
  const engines = { shared: shared.engine, killed: killed.engine };
  const { Version } = await engines.shared.docker.version();
  process.stdout.write(`engine ${Version}, ${chosen.length} faults, ${rounds} rounds, seed ${values.seed}\n`);
  for (let round = 1; round <= rounds; round++) {
    const logs = "dist/logs/faults";
    await runRound({ faults: chosen, engines, seed: values.seed, round, logs, onResult: tell });
  }
} finally {
  await Promise.all([shared.stop(), killed.stop()]);
}
const failed = results.filter(({ ok }) => !ok).length;
process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`);
if (values.json) await writeFile(values.json, `${JSON.stringify({ seed: values.seed, results }, null, 2)}\n`);
process.exit(failed > 0 || results.length === 0 ? 1 : 0);

function tell(result: Result): void {
  results.push(result);
  const { ok, id, what, words, seconds } = result;
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${id.padEnd(5)} ${what}: ${words}, ${seconds.toFixed(1)} s\n`);
}
