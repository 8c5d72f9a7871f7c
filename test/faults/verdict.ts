import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type ControlPlane, openControlPlane } from "../../src/control-plane/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { firstTaskStep } from "../../src/protocol/records.ts";
import type { WatchEvent } from "../../src/protocol/watch.ts";
import { sha256 } from "./jobs.ts";
import type { Running } from "./world.ts";

/** Reads what a control plane has stored, once it has stopped, and says what of it is not as it has to be. */
export async function inspectStore(
  directory: string,
  jobs: readonly Running[],
): Promise<{ wrong: string[]; evidence: string }> {
  const wrong = integrity(join(directory, "cofferdam.db"));
  const controlPlane = await openControlPlane({
    dataDirectory: directory,
    clock: systemClock,
    route: () => undefined,
    sources: { open: () => Promise.reject(new Error("there are no sources here")) },
    logLevel: "silent",
  });
  try {
    const verdicts = await Promise.all(jobs.map(async (job) => await judge(controlPlane, job)));
    wrong.push(...verdicts.flatMap((verdict) => verdict.wrong));
    const attempts = Math.max(0, ...verdicts.map((verdict) => verdict.attempts));
    const output = Buffer.concat(verdicts.map((verdict) => verdict.output));
    const tasks = jobs.length === 1 ? "" : `${jobs.length} tasks, `;
    const evidence = `${tasks}attempts ${attempts}, ${output.byteLength} bytes, sha256 ${sha256(output).slice(0, 12)}`;
    return { wrong, evidence };
  } finally {
    await controlPlane.close({ graceMs: 0 });
  }
}

function integrity(file: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true });
  const rows = database
    .prepare("pragma integrity_check")
    .all()
    .map((row) => String(Object.values(row)[0]));
  database.close();
  return rows.length === 1 && rows[0] === "ok" ? [] : rows.map((row) => `the database is damaged: ${row}`);
}

interface Verdict {
  wrong: string[];
  attempts: number;
  output: Buffer;
}

/** A job of one task. */
async function judge(controlPlane: ControlPlane, expected: Running): Promise<Verdict> {
  const story: WatchEvent[] = [];
  const signal = AbortSignal.timeout(20_000);
  for await (const event of controlPlane.watch(expected.pipeline, { signal, output: false })) story.push(event);
  const tasks = story.filter((event) => event.type === "task");
  const ends = tasks.filter(({ status }) => status !== "queued" && status !== "running");
  const attempts = Math.max(0, ...tasks.map(({ attempt }) => attempt));
  const output = await stored(controlPlane, story);
  const wrong: string[] = [];
  if (ends.length !== 1) wrong.push(`a task ended ${ends.length} times`);
  const [end] = ends;
  if (end?.status !== expected.status)
    wrong.push(`a task ended as ${end?.status} (${end?.message ?? "nothing said"}), and not as ${expected.status}`);
  if (!expected.attempts.includes(attempts))
    wrong.push(`${attempts} attempts, and not ${expected.attempts.join(" or ")}`);
  if (tasks.at(-1) !== end) wrong.push("something happened to a task after its end");
  const due = expected.output === "whole" ? expected.job.output : expected.job.output.subarray(0, output.byteLength);
  if (!output.equals(due)) wrong.push(`${output.byteLength} bytes of output that are not the ${due.byteLength} due`);
  return { wrong, attempts, output };
}

async function stored(controlPlane: ControlPlane, story: WatchEvent[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const seen = new Set<string>();
  for (const event of story) {
    if (event.type !== "step-started" || event.kind !== "run" || event.step < firstTaskStep) continue;
    const key = `${event.taskId} ${event.step}`;
    if (seen.has(key)) continue;
    seen.add(key);
    for await (const piece of controlPlane.stepOutput(event.taskId, event.step)) pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
