import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { systemClock } from "../../src/lib/clock.ts";
import type { RunStep, Step, Work } from "../../src/protocol/task.ts";
import { runTaskAgent, type TaskAgentOptions } from "../../src/task-agent/index.ts";
import { FakeLaunchAgent, type FakeOptions } from "./fake-launch-agent.ts";

/** A task agent in this process, with a workspace of its own, and the other end of its channel. */
export interface RunningAgent extends AsyncDisposable {
  launch: FakeLaunchAgent;
  stdin: PassThrough;
  stdout: PassThrough;
  /** The workspace: the working directory of the steps. */
  workspace: string;
  home: string;
  /** Settles as runTaskAgent does. */
  done: Promise<void>;
}

export function startAgent(options: FakeOptions & Pick<TaskAgentOptions, "patience" | "whenIdle"> = {}): RunningAgent {
  const home = mkdtempSync(join(tmpdir(), "cofferdam-test-"));
  const workspace = join(home, "project");
  mkdirSync(workspace);
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const done = runTaskAgent({
    input: stdin,
    output: stdout,
    version: "test",
    clock: systemClock,
    environment: { PATH: process.env["PATH"], FROM_IMAGE: "image" },
    startDirectory: workspace,
    binDirectory: join(import.meta.dirname, "../../images/task-agent/bin"),
    mkfifo: ["mkfifo"],
    ownsContainer: false,
    ...(options.patience && { patience: options.patience }),
    ...(options.whenIdle && { whenIdle: options.whenIdle }),
  });
  done.catch(() => {});
  const launch = new FakeLaunchAgent(options);
  launch.attach(stdin, stdout);
  const dispose = async (): Promise<void> => {
    stdin.end();
    await done.catch(() => {});
    rmSync(home, { recursive: true, force: true });
  };
  return { launch, stdin, stdout, workspace, home, done, [Symbol.asyncDispose]: dispose };
}

/** Runs these steps to the end of the task. */
export async function playTask(steps: (Step | string)[], overrides: Partial<Work> = {}): Promise<RunningAgent> {
  const agent = startAgent();
  agent.launch.handOver(workOf(steps, overrides));
  await agent.launch.ended();
  return agent;
}

export function workOf(steps: (Step | string)[], overrides: Partial<Work> = {}): Work {
  return {
    environment: {},
    secrets: [],
    workingDirectory: "~/project",
    steps: steps.map((step) => (typeof step === "string" ? runStep(step) : step)),
    maxRunTimeMs: 60_000,
    killGraceMs: 5000,
    workspaceBytes: 2 ** 40,
    outputBytes: 2 ** 30,
    ...overrides,
  };
}

export function runStep(command: string, overrides: Partial<RunStep> = {}): RunStep {
  return {
    type: "run",
    name: command.slice(0, 100),
    command,
    environment: {},
    when: "on_success",
    background: false,
    noOutputTimeoutMs: 600_000,
    maxAutoReruns: 0,
    autoRerunDelayMs: 0,
    ...overrides,
  };
}
