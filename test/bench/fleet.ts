import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ControlPlane, openControlPlane } from "../../src/control-plane/index.ts";
import { describeAddress } from "../../src/engine/docker/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { firstTaskStep } from "../../src/protocol/records.ts";
import { ClassSettings } from "../../src/protocol/resource-class.ts";
import { addressUnderTest } from "../docker/engine-under-test.ts";
import { assertNoLeaks, type Snapshot, takeSnapshot } from "../docker/leak-check.ts";
import { pipelineOf } from "../fakes/pipelines.ts";

const queue = "bench/fleet";
const mebibyte = 1024 ** 2;
const root = join(import.meta.dirname, "..", "..");
/** A run of which nothing is heard for so long hangs. */
const hangMs = 120_000;
const stopMs = 60_000;

export interface TaskTiming {
  /** From the creation of the pipeline to the beginning of the task's own first step. */
  queueMs: number;
  success: boolean;
}

/** A control plane in this process, and launch agents in processes of their own, as an operator has them. */
export interface Fleet extends AsyncDisposable {
  /** Runs a job of so many tasks to its end. `onSuccess` is called for each of them as it ends well. */
  run(config: string, onSuccess?: () => void): Promise<TaskTiming[]>;
  /** Resident memory of the first agent, in bytes. */
  agentBytes(): Promise<number>;
  /** Ends the agents, and tells what they have left on the engine. */
  leaks(): Promise<string[]>;
}

/** `tasksAtOnce`: of each agent; as many as the host has cores when not given. */
export async function openFleet(agents: number, { tasksAtOnce }: { tasksAtOnce?: number } = {}): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-bench-"));
  const before = await takeSnapshot();
  const controlPlane = await openControlPlane({
    dataDirectory: join(directory, "data"),
    clock: systemClock,
    route: () => ({ queue, ...settings }),
    sources: { open: () => Promise.reject(new Error("the bench checks nothing out")) },
  });
  const { url } = await controlPlane.listen({ host: "127.0.0.1", port: 0 });
  await controlPlane.putResourceClass({ name: queue });
  const token = (await controlPlane.createToken(queue, "bench")).reveal();
  const engine = describeAddress(await addressUnderTest());
  const common = { ...(await agentCommand()), tasksAtOnce, url, token, engine };
  const processes = Array.from({ length: agents }, (_, index) => startAgent({ ...common, index }));
  return {
    run: async (config, onSuccess) => await runTasks(controlPlane, { config, onSuccess }),
    agentBytes: async () => await residentBytes(processes[0]?.pid),
    leaks: async () => {
      await Promise.all(processes.map(stop));
      return await leftBehind(before);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(processes.map(stop));
      await controlPlane.close({ graceMs: 1_000 });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Small tasks, so that cores and the engine bound a run, and not the memory that tasks are promised. */
const settings = ClassSettings.parse({
  limits: { memoryBytes: 256 * mebibyte, cpus: 1, pids: 256, openFiles: 4096, workspaceBytes: 256 * mebibyte },
});

/** As its image starts it: the bundle, with the options of the entry point, and what its malloc is told. */
async function agentCommand(): Promise<{ command: string[]; environment: Record<string, string> }> {
  await promisify(execFile)(process.execPath, ["scripts/build.ts", "launch-agent"], { cwd: root });
  const dockerfile = await readFile(join(root, "Dockerfile"), "utf8");
  const entry = /^ENTRYPOINT (\[.*launch-agent\/main\.mjs"\])$/m.exec(dockerfile)?.[1];
  if (entry === undefined) throw new Error("the Dockerfile has no entry point of the launch agent");
  const [, ...args] = JSON.parse(entry) as string[];
  return {
    command: [...args.slice(0, -1), join(root, "dist", "launch-agent", "main.mjs")],
    environment: Object.fromEntries(
      [...dockerfile.matchAll(/^ +(MALLOC_\w+)=(\d+)/gm)].map(([, name = "", value = ""]) => [name, value]),
    ),
  };
}

interface AgentOptions {
  command: string[];
  environment: Record<string, string>;
  tasksAtOnce: number | undefined;
  url: string;
  token: string;
  engine: string;
  index: number;
}

function startAgent(options: AgentOptions): ChildProcess {
  const places = options.tasksAtOnce === undefined ? {} : roomFor(options.tasksAtOnce);
  return spawn(process.execPath, options.command, {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...options.environment,
      ...places,
      PATH: process.env["PATH"],
      DOCKER_HOST: options.engine,
      CIRCLECI_RUNNER_API_URL: options.url,
      CIRCLECI_RUNNER_API_AUTH_TOKEN: options.token,
      CIRCLECI_RUNNER_NAME: `bench-${process.pid}-${options.index}`,
      CIRCLECI_RUNNER_LOGGING_LEVEL: "error",
      COFFERDAM_HEALTH_ADDRESS: `127.0.0.1:${17_623 + options.index}`,
    },
  });
}

function roomFor(tasks: number): Record<string, string> {
  return { CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: String(tasks), COFFERDAM_CPUS: String(tasks) };
}

async function stop(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => agent.once("exit", () => resolve()));
  agent.kill("SIGTERM");
  const patience = setTimeout(() => agent.kill("SIGKILL"), stopMs);
  await exited;
  clearTimeout(patience);
}

async function leftBehind(before: Snapshot): Promise<string[]> {
  try {
    await assertNoLeaks(before);
    return [];
  } catch (error) {
    return error instanceof Error ? error.message.split("\n").slice(1) : [String(error)];
  }
}

async function residentBytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

interface Run {
  config: string;
  onSuccess: (() => void) | undefined;
}

async function runTasks(controlPlane: ControlPlane, { config, onSuccess }: Run): Promise<TaskTiming[]> {
  const pipeline = await pipelineOf(config, { vcs: {} });
  const began = performance.now();
  const { id } = await controlPlane.createPipeline(pipeline);
  const tasks = new Map<string, TaskTiming>();
  const hanging = new AbortController();
  const hang = () => hanging.abort(new Error(`nothing was heard of a run for ${hangMs / 1000} s`));
  const timer = setTimeout(hang, hangMs);
  for await (const event of controlPlane.watch(id, { signal: hanging.signal, output: false })) {
    timer.refresh();
    if (event.type === "step-started" && event.step >= firstTaskStep && !tasks.has(event.taskId))
      tasks.set(event.taskId, { queueMs: performance.now() - began, success: false });
    if (event.type === "task" && event.status === "success") {
      const timing = tasks.get(event.taskId);
      if (timing) timing.success = true;
      onSuccess?.();
    }
  }
  clearTimeout(timer);
  return [...tasks.values()];
}
