import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { interleaved, median, type Row, row } from "./measure.ts";

const run = promisify(execFile);
const once = join(import.meta.dirname, "compile-once.ts");

/** 1,000 jobs, against parsing their YAML alone, each in a process of its own, as a command does it. */
export async function compileRows(rounds: number): Promise<Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-bench-"));
  const timed = async (what: string, file: string) => {
    const { stdout } = await run(process.execPath, ["--disable-warning=ExperimentalWarning", once, what, file]);
    return Number(stdout);
  };
  const rows: Row[] = [];
  for (const [id, what, text] of [
    ["compile-1000-matrix", "1,000 jobs of one matrix", matrix()],
    ["compile-1000-jobs", "1,000 jobs written out", writtenOut()],
  ] as const) {
    const file = join(directory, `${id}.yml`);
    await writeFile(file, text);
    const { floor, compile } = await interleaved(rounds, {
      floor: async () => await timed("parse", file),
      compile: async () => await timed("compile", file),
    });
    const figures = { unit: "ms", value: median(compile), floor: median(floor) } as const;
    rows.push(row({ id, what: `compile ${what}, against parsing the YAML`, ...figures, goal: { atMost: 4 } }));
  }
  await rm(directory, { recursive: true });
  return rows;
}

function matrix(): string {
  const values = (prefix: string) => `[${Array.from({ length: 10 }, (_, i) => `${prefix}${i}`).join(", ")}]`;
  return `version: 2.1
executors:
  node:
    parameters:
      tag: {type: string, default: lts}
    docker:
      - image: cimg/node:<< parameters.tag >>
jobs:
  test:
    parameters:
      os: {type: string}
      version: {type: string}
      suite: {type: string}
    executor:
      name: node
      tag: << parameters.version >>
    environment:
      OS: << parameters.os >>
    steps:
      - checkout
      - run:
          name: Test << parameters.suite >>
          command: make test SUITE=<< parameters.suite >>
      - store_test_results:
          path: results
workflows:
  main:
    jobs:
      - test:
          matrix:
            parameters:
              os: ${values("os")}
              version: ${values("v")}
              suite: ${values("s")}
`;
}

function writtenOut(): string {
  const names = Array.from({ length: 1000 }, (_, i) => `job-${i}`);
  const job = (name: string) => `  ${name}:
    docker:
      - image: cimg/node:lts
    steps:
      - checkout
      - run: make ${name}
`;
  return `version: 2.1
jobs:
${names.map(job).join("")}workflows:
  main:
    jobs:
${names.map((name) => `      - ${name}\n`).join("")}`;
}
