import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession, type Session } from "../../src/cli/exec/session.ts";
import { openSite } from "../../src/cli/exec/site.ts";
import type { AgentEvent } from "../../src/launch-agent/index.ts";
import type { PoolOptions } from "../../src/launch-agent/pool/pool.ts";
import type { SandboxOptions } from "../../src/launch-agent/sandbox/options.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { firstTaskStep } from "../../src/protocol/records.ts";
import { pipelineOf } from "../fakes/pipelines.ts";

/** Control plane and launch agent of this process on the real engine, with the marks that the bench reads. */
export interface BenchSession extends AsyncDisposable {
  /** When a container waits in the pool. */
  warm(): Promise<void>;
  /** When a sandbox is ready. */
  sandboxReady(): Promise<void>;
  run(config: string): Promise<RunTiming>;
}

export interface RunTiming {
  /** From the first claim to the first byte of a step of the task itself. */
  firstByteMs: number;
  /** From the creation of the pipeline until the last container is gone. */
  wholeMs: number;
  /** Whether a container that waited took it over. */
  hit: boolean;
  /** Stored output of all steps of the task lane, decoded. */
  outputBytes: number;
  outputSha256: string;
}

export interface BenchOptions {
  pool?: Partial<PoolOptions>;
  sandboxes?: Partial<SandboxOptions>;
}

/** In sandboxes, as in a fleet. */
export async function openBenchSession({ pool = {}, sandboxes = {} }: BenchOptions = {}): Promise<BenchSession> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-bench-"));
  const env = { ...process.env, XDG_DATA_HOME: join(directory, "data"), XDG_RUNTIME_DIR: directory };
  let tell: (event: AgentEvent) => void = () => {};
  const site = await openSite({ env, pool, sandboxes: { mode: "required", ...sandboxes } });
  const session = await openSession({ directory, env, site, onEvent: (event) => tell(event) });
  return {
    warm: async () => {
      while (site.laid.pool.waiting === 0) await systemClock.sleep(5);
    },
    sandboxReady: async () => {
      while (site.laid.ground.sandboxes.ready === 0) await systemClock.sleep(5);
    },
    run: async (config) => await timeRun(session, config, (listener) => (tell = listener)),
    [Symbol.asyncDispose]: async () => {
      await session.settle();
      await session[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function timeRun(
  session: Session,
  config: string,
  listen: (listener: (event: AgentEvent) => void) => void,
): Promise<RunTiming> {
  const pipeline = await pipelineOf(config, { vcs: {} });
  const living = new Set<string>();
  let claimedAt = Number.NaN;
  let removedAt = Number.NaN;
  let hit = false;
  listen((event) => {
    if (event.type === "claimed") {
      living.add(event.taskId);
      if (Number.isNaN(claimedAt)) claimedAt = performance.now();
    } else if (event.type === "hit") {
      hit = true;
    } else if (event.type === "removed") {
      living.delete(event.taskId);
      removedAt = performance.now();
    }
  });
  const began = performance.now();
  const { id } = await session.controlPlane.createPipeline(pipeline);
  const seen = await watchOutput(session, id);
  while (living.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!seen.green) throw new Error(`a run of the bench was not green: ${JSON.stringify(seen)}`);
  const { bytes: outputBytes, sha256: outputSha256 } = await hashOutput(session, seen.steps);
  return { firstByteMs: seen.firstByteAt - claimedAt, wholeMs: removedAt - began, hit, outputBytes, outputSha256 };
}

async function watchOutput(
  session: Session,
  id: string,
): Promise<{ firstByteAt: number; green: boolean; steps: { taskId: string; step: number }[] }> {
  let firstByteAt = Number.NaN;
  let green = false;
  const steps: { taskId: string; step: number }[] = [];
  const signal = AbortSignal.timeout(600_000);
  for await (const event of session.controlPlane.watch(id, { signal, output: true })) {
    if (event.type === "output" && event.step >= firstTaskStep && Number.isNaN(firstByteAt))
      firstByteAt = performance.now();
    if (event.type === "step-started" && event.step >= firstTaskStep)
      steps.push({ taskId: event.taskId, step: event.step });
    if (event.type === "workflow") green = event.status === "success";
  }
  return { firstByteAt, green, steps };
}

async function hashOutput(
  session: Session,
  steps: { taskId: string; step: number }[],
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for (const { taskId, step } of steps) {
    for await (const piece of session.controlPlane.stepOutput(taskId, step)) {
      bytes += piece.byteLength;
      hash.update(piece);
    }
  }
  return { bytes, sha256: hash.digest("hex") };
}
