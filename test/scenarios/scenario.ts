import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { JobStatus, WorkflowStatus } from "../../src/protocol/watch.ts";

/** What a config is to come to: `NN-name.yml` beside `NN-name.json`. Adding a scenario needs no code. */
export const Expectation = z.strictObject({
  /** In one sentence: the title of the test. */
  title: z.string(),
  /** What the dummy engine plays cannot be had on a real one. */
  dummyOnly: z.boolean().default(false),
  /** The first so many starts of containers fail, as an engine's own fault. */
  failingStarts: z.int().default(0),
  /** Names of jobs that a person approves. */
  approve: z.array(z.string()).default([]),
  /** A person cancels the pipeline once this is in some step's output. */
  cancelOnOutput: z.string().optional(),
  /** The scenario is over once this job is on hold and nothing else can go on. */
  endsOnHold: z.string().optional(),
  workflows: z.record(z.string(), WorkflowStatus).default({}),
  jobs: z.record(z.string(), JobStatus),
  /** By workflow: what its reason contains. */
  reasons: z.record(z.string(), z.string()).default({}),
  /** By job: each step of the first task, as `name: outcome`. */
  steps: z.record(z.string(), z.array(z.string())).default({}),
  /** By job: texts that its output contains, over all tasks and steps; with `!` in front: does not contain. */
  output: z.record(z.string(), z.array(z.string())).default({}),
  /** By job: what its reason or its tasks' message contains. */
  messages: z.record(z.string(), z.string()).default({}),
  /** By job: how often its first task was handed out. */
  attempts: z.record(z.string(), z.int()).default({}),
  /** By job: paths, each as `node/path`. */
  artifacts: z.record(z.string(), z.array(z.string())).default({}),
  /** By job: `total/failed` of its test results. */
  tests: z.record(z.string(), z.string()).default({}),
});
export type Expectation = z.infer<typeof Expectation>;

export interface Scenario {
  name: string;
  config: string;
  expected: Expectation;
}

const directory = import.meta.dirname;

export async function loadScenarios(): Promise<Scenario[]> {
  const names = (await readdir(directory)).filter((file) => file.endsWith(".yml")).map((file) => file.slice(0, -4));
  return await Promise.all(
    names.toSorted().map(async (name) => ({
      name,
      config: await readFile(join(directory, `${name}.yml`), "utf8"),
      expected: Expectation.parse(JSON.parse(await readFile(join(directory, `${name}.json`), "utf8"))),
    })),
  );
}
