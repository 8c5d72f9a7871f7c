import { writeFile } from "node:fs/promises";
import { createDockerEngine } from "../src/engine/docker/index.ts";
import { compileRows } from "../test/bench/compile-rows.ts";
import { gridRow, leaksRow, restRow } from "../test/bench/fleet-rows.ts";
import type { Row } from "../test/bench/measure.ts";
import { pipedOutputRow, startRows, storedOutputRow, throughputRow } from "../test/bench/rows.ts";
import { addressUnderTest } from "../test/docker/engine-under-test.ts";
import { wordsOr } from "./words.ts";

/** `npm run bench`: every figure as a ratio to a floor that was taken in the same run, on the same engine. */
const usage =
  "usage: npm run bench -- [--rounds N] [--only PART,PART…] [--json FILE]; parts: start, throughput, piped, compile, stored, rest, grid, leaks";
const { values } = wordsOr(usage, {
  options: { json: { type: "string" }, rounds: { type: "string", default: "15" }, only: { type: "string" } },
});
const rounds = Number(values.rounds);

const parts: Record<string, () => Promise<Row[]>> = {
  start: async () => await startRows(rounds),
  throughput: async () => [await throughputRow(20)],
  piped: async () => [await pipedOutputRow()],
  compile: async () => await compileRows(Math.min(rounds, 7)),
  stored: async () => [await storedOutputRow()],
  rest: async () => [await restRow()],
  grid: async () => [await gridRow(20), await gridRow(40), await gridRow(80), await gridRow(128)],
  leaks: async () => [await leaksRow(1000)],
};
const wanted = values.only?.split(",") ?? Object.keys(parts);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  process.stderr.write(`${unknown.map((name) => `there is no part ${name}\n`).join("")}${usage}\n`);
  process.exit(2);
}

const engine = createDockerEngine({ address: await addressUnderTest() });
const info = await engine.info(AbortSignal.timeout(10_000));
process.stdout.write(`engine: ${info.kind} ${info.version}, ${info.cpus} cores; medians of ${rounds} rounds\n\n`);
const rows: Row[] = [];
for (const name of wanted) {
  for (const row of (await parts[name]?.()) ?? []) {
    rows.push(row);
    process.stdout.write(format(row));
  }
}
if (values.json) {
  const { kind, version, apiVersion, cpus, memoryBytes } = info;
  const plain = rows.map(({ id, unit, value, floor, ratio, goal, met }) => ({
    id,
    unit,
    value,
    floor,
    ratio,
    goal,
    met,
  }));
  await writeFile(
    values.json,
    `${JSON.stringify({ engine: { kind, version, apiVersion, cpus, memoryBytes }, rows: plain }, null, 2)}\n`,
  );
}

function format({ id, what, unit, value, floor, ratio, goal, met }: Row): string {
  const figures = `${value.toFixed(1).padStart(8)} ${unit.padEnd(4)} floor ${floor.toFixed(1).padStart(8)}  ${ratio.toFixed(2).padStart(6)} ×`;
  return `${met ? "met " : "MISS"} ${id.padEnd(17)} ${figures}  goal ${goal}  ${what}\n`;
}
