import type { Network, RunStep, Task } from "../../src/protocol/task.ts";

/** The network of a task that needs none. */
export const noNetwork: Network = { mode: "none", deny: [], audit: false };

/** A small task in the task-agent image. */
export function aTask(
  changes: { id?: string; attempt?: number; container?: Partial<Task["container"]>; work?: Partial<Task["work"]> } = {},
): Task {
  return {
    id: changes.id ?? "task-1",
    attempt: changes.attempt ?? 1,
    job: { id: "job-1", name: "build", number: 1 },
    workflow: { id: "workflow-1", name: "main" },
    pipeline: { id: "pipeline-1", number: 1 },
    node: { index: 0, total: 1 },
    container: {
      resourceClass: "ns/class",
      executor: "machine",
      images: [],
      limits: {
        memoryBytes: 1024 ** 3,
        cpus: 1,
        pids: 1000,
        openFiles: 1024,
        workspaceBytes: 1024 ** 3,
        workspaceMedium: "disk",
        outputBytes: 1024 ** 3,
      },
      isolation: "standard",
      network: { mode: "egress", deny: [], audit: false },
      pull: "if-not-present",
      workingDirectory: "~/project",
      ...changes.container,
    },
    work: {
      environment: {},
      secrets: [],
      workingDirectory: "~/project",
      steps: [],
      maxRunTimeMs: 3_600_000,
      killGraceMs: 100,
      workspaceBytes: 1024 ** 3,
      outputBytes: 1024 ** 3,
      ...changes.work,
    },
  };
}

export function aRunStep(command: string): RunStep {
  return {
    type: "run",
    name: "run",
    command,
    environment: {},
    when: "on_success",
    background: false,
    noOutputTimeoutMs: 60_000,
    maxAutoReruns: 0,
    autoRerunDelayMs: 0,
  };
}
