import type { StepOutcome } from "../../protocol/records.ts";
import type { JobStatus, WatchEvent, WorkflowStatus } from "../../protocol/watch.ts";

/** A pipeline as its watcher knows it so far. Built from events alone, so that every view tells the same story. */
export interface PipelineModel {
  id: string;
  number: number;
  startedMs: number;
  endedMs?: number;
  workflows: Map<string, WorkflowModel>;
  jobs: Map<string, JobModel>;
}

export interface WorkflowModel {
  id: string;
  name: string;
  status: WorkflowStatus;
  /** Why nothing of it runs. */
  reason?: string;
  /** It failed and was run again: what that came to counts. */
  rerun: boolean;
}

export interface JobModel {
  id: string;
  name: string;
  workflow: string;
  workflowId: string;
  requires: string[];
  status: JobStatus;
  reason?: string;
  /** When its first task began to run. */
  startedMs?: number;
  endedMs?: number;
  tasks: Map<string, TaskModel>;
  artifacts: number;
  tests: { total: number; failed: number };
}

export interface TaskModel {
  id: string;
  index: number;
  status: string;
  steps: Map<number, StepModel>;
  artifacts: number;
  tests: { total: number; failed: number };
}

export interface StepModel {
  number: number;
  name: string;
  kind: string;
  startedMs: number;
  endedMs?: number;
  outcome?: StepOutcome;
  outputBytes: number;
}

const terminal: ReadonlySet<string> = new Set<JobStatus>([
  "success",
  "failed",
  "canceled",
  "timedout",
  "infrastructure_fail",
  "not_run",
  "unauthorized",
]);

export function isTerminal(status: string): boolean {
  return terminal.has(status);
}

export function emptyModel(): PipelineModel {
  return { id: "", number: 0, startedMs: 0, workflows: new Map(), jobs: new Map() };
}

/** Takes one event in. Events that belong to nothing known are ignored. */
export function apply(model: PipelineModel, event: WatchEvent): void {
  switch (event.type) {
    case "pipeline":
      return applyPipeline(model, event);
    case "workflows-added":
      return addWorkflows(model, event.workflows);
    case "workflow":
      return applyWorkflow(model, event);
    case "job":
      return applyJob(model, event);
    case "task":
      return applyTask(model, event);
    case "pipeline-ended":
      model.endedMs = event.atMs;
      return;
    default:
      return applyWithinTask(model, event);
  }
}

type EventOf<T extends WatchEvent["type"]> = Extract<WatchEvent, { type: T }>;

function applyPipeline(model: PipelineModel, event: EventOf<"pipeline">): void {
  model.id = event.id;
  model.number = event.number;
  model.startedMs = event.atMs;
  addWorkflows(model, event.workflows);
}

function addWorkflows(model: PipelineModel, workflows: EventOf<"pipeline">["workflows"]): void {
  for (const { id, name, jobs, rerunOf } of workflows) {
    const before = rerunOf === undefined ? undefined : model.workflows.get(rerunOf);
    if (before) before.rerun = true;
    model.workflows.set(id, { id, name, status: "running", rerun: false });
    for (const job of jobs) {
      model.jobs.set(job.id, {
        id: job.id,
        name: job.name,
        workflow: name,
        workflowId: id,
        requires: job.requires,
        status: "blocked",
        tasks: new Map(),
        artifacts: 0,
        tests: { total: 0, failed: 0 },
      });
    }
  }
}

function applyWorkflow(model: PipelineModel, event: EventOf<"workflow">): void {
  const workflow = model.workflows.get(event.id);
  if (!workflow) return;
  workflow.status = event.status;
  if (event.reason !== undefined) workflow.reason = event.reason;
}

function applyJob(model: PipelineModel, event: EventOf<"job">): void {
  const job = model.jobs.get(event.id);
  if (!job) return;
  job.status = event.status;
  // Why it waited is no news once it goes on.
  delete job.reason;
  if (event.reason !== undefined) job.reason = event.reason;
  if (event.status === "running") job.startedMs ??= event.atMs;
  if (isTerminal(event.status)) job.endedMs = event.atMs;
}

function applyTask(model: PipelineModel, event: EventOf<"task">): void {
  const job = model.jobs.get(event.jobId);
  if (!job) return;
  const task = job.tasks.get(event.taskId);
  if (!task || event.status === "queued") {
    // What an attempt that is over had stored is not what comes of the task.
    if (task) count(job, { artifacts: -task.artifacts, total: -task.tests.total, failed: -task.tests.failed });
    const { taskId: id, index, status } = event;
    const nothing = { steps: new Map<number, StepModel>(), artifacts: 0, tests: { total: 0, failed: 0 } };
    job.tasks.set(id, { id, index, status, ...nothing });
    return;
  }
  task.status = event.status;
}

function applyWithinTask(
  model: PipelineModel,
  event: EventOf<"step-started" | "output" | "step-ended" | "artifact" | "test-results">,
): void {
  const job = model.jobs.get(event.jobId);
  const task = job?.tasks.get(event.taskId);
  if (!job || !task) return;
  switch (event.type) {
    case "step-started": {
      const { step, name, kind, atMs } = event;
      task.steps.set(step, { number: step, name, kind, startedMs: atMs, outputBytes: 0 });
      return;
    }
    case "output": {
      const step = task.steps.get(event.step);
      if (step) step.outputBytes = event.offset + Buffer.byteLength(event.data, "base64");
      return;
    }
    case "step-ended": {
      const step = task.steps.get(event.step);
      if (!step) return;
      step.outcome = event.outcome;
      step.endedMs = event.atMs;
      return;
    }
    case "artifact":
      count(job, { artifacts: 1 });
      count(task, { artifacts: 1 });
      return;
    case "test-results":
      count(job, event);
      count(task, event);
      return;
    default:
      event satisfies never;
  }
}

function count(
  of: Pick<JobModel, "artifacts" | "tests">,
  { artifacts = 0, total = 0, failed = 0 }: { artifacts?: number; total?: number; failed?: number },
): void {
  of.artifacts += artifacts;
  of.tests.total += total;
  of.tests.failed += failed;
}

/** `build`, or `build 2/3` where a job has several tasks. */
export function taskLabel(job: JobModel, task: TaskModel, total: number): string {
  return total > 1 ? `${job.name} ${task.index + 1}/${total}` : job.name;
}
