import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineName, FaultEngine } from "./engine.ts";
import type { Fault } from "./fault.ts";
import { World } from "./world.ts";

export interface Result {
  id: string;
  what: string;
  round: number;
  ok: boolean;
  /** Evidence, or what is wrong. */
  words: string;
  seconds: number;
}

export interface RunOptions {
  faults: readonly Fault[];
  engines: Record<EngineName, FaultEngine>;
  /** Everything that is left to chance follows from it. */
  seed: string;
  round: number;
  /** Folder for the logs of faults that fail. */
  logs: string;
  onResult: (result: Result) => void;
}

/** Most of each is waiting. */
const atOnce = 6;
/** Far more than any takes, for machines that are busy with other things. */
const withinMs = 300_000;

/** One round of faults: those that leave the engine alone side by side; beside them, on another engine, the others one by one. */
export async function runRound(options: RunOptions): Promise<void> {
  const together = options.faults.filter(({ alone }) => !alone);
  const oneByOne = options.faults.filter(({ alone }) => alone);
  const lanes = [...Array.from({ length: atOnce }, () => together), oneByOne].map(async (faults) => {
    for (let fault = faults.shift(); fault; fault = faults.shift()) await runOne(fault, options);
  });
  await Promise.all(lanes);
}

async function runOne(fault: Fault, options: RunOptions): Promise<void> {
  const { engines, seed, round, logs, onResult } = options;
  const engine = engines[fault.alone ? "killed" : "shared"];
  const began = performance.now();
  const random = dice(`${seed} ${round} ${fault.id}`);
  await using world = new World({ engine, id: fault.id, random });
  const result = (ok: boolean, words: string): void =>
    onResult({ id: fault.id, what: fault.what, round, ok, words, seconds: (performance.now() - began) / 1000 });
  try {
    result(true, await inTime(fault, world));
  } catch (error) {
    const file = `${logs}/${fault.id}-${round}.log`;
    await world.writeLogs(file);
    result(false, `${error instanceof Error ? error.message : String(error)} (logs: ${file})`);
    if (fault.alone) await mend(engine);
  }
}

async function inTime(fault: Fault, world: World): Promise<string> {
  const over = new AbortController();
  const late = sleep(withinMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not done within ${withinMs / 1000} s`);
  });
  late.catch(() => {});
  const running = fault.run(world);
  running.catch(() => {});
  try {
    return await Promise.race([running, late]);
  } finally {
    over.abort();
  }
}

/** A fault that failed half way may have left the engine down. */
async function mend(engine: FaultEngine): Promise<void> {
  for (const name of ["containerd", "dockerd"] as const) {
    await engine.killDaemon(name).catch(() => undefined);
    await engine.startDaemon(name).catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  }
}

/** The same numbers for the same words, each 0 ≤ n < 1. */
function dice(words: string): () => number {
  let count = 0;
  return () => createHash("sha256").update(`${words} ${count++}`).digest().readUInt32BE() / 2 ** 32;
}
