import type { StepOutcome } from "../../src/protocol/records.ts";
import type { JobStatus, WatchEvent, WorkflowStatus } from "../../src/protocol/watch.ts";

class JobStory {
  readonly name: string;
  status: JobStatus = "blocked";
  readonly messages: string[] = [];
  /** Steps of the first task's last attempt, in order. */
  readonly steps = new Map<number, { name: string; outcome: string }>();
  attempts = 0;
  readonly artifacts: string[] = [];
  readonly tests = { total: 0, failed: 0 };
  readonly #written = new Map<string, Buffer[]>();

  constructor(name: string) {
    this.name = name;
  }

  /** Each step's output in one piece, because the agent's own step goes on while the task's first one writes already. */
  get output(): string {
    return [...this.#written.values()].map((parts) => Buffer.concat(parts).toString("utf8")).join("");
  }

  write({ taskId, step, data }: Extract<WatchEvent, { type: "output" }>): void {
    const key = `${taskId}:${step}`;
    const parts = this.#written.get(key) ?? [];
    parts.push(Buffer.from(data, "base64"));
    this.#written.set(key, parts);
  }
}

type JobEvent = Exclude<WatchEvent, { type: "pipeline" | "workflows-added" | "workflow" | "pipeline-ended" }>;

/** What a watcher has seen of a pipeline so far, by the names of jobs and workflows. */
export class Story {
  readonly workflows = new Map<string, { name: string; status: WorkflowStatus; reason?: string }>();
  readonly jobs = new Map<string, JobStory>();
  readonly #nodes = new Map<string, number>();

  job(name: string): JobStory | undefined {
    return [...this.jobs.values()].find((job) => job.name === name);
  }

  take(event: WatchEvent): void {
    if (event.type === "pipeline" || event.type === "workflows-added") this.#begin(event.workflows);
    else if (event.type === "workflow") this.#workflow(event);
    else if (event.type !== "pipeline-ended") {
      const job = this.jobs.get(event.type === "job" ? event.id : event.jobId);
      if (job) this.#takeForJob(job, event);
    }
  }

  #workflow(event: Extract<WatchEvent, { type: "workflow" }>): void {
    const workflow = this.workflows.get(event.id);
    if (!workflow) return;
    workflow.status = event.status;
    if (event.reason !== undefined) workflow.reason = event.reason;
  }

  #takeForJob(job: JobStory, event: JobEvent): void {
    switch (event.type) {
      case "job":
        job.status = event.status;
        if (event.reason) job.messages.push(event.reason);
        return;
      case "task":
        return this.#task(job, event);
      case "step-started":
        if (this.#isFirst(event)) job.steps.set(event.step, { name: event.name, outcome: "running" });
        return;
      case "output":
        return job.write(event);
      case "step-ended":
        if (this.#isFirst(event)) job.steps.set(event.step, endedStep(job, event));
        return;
      case "artifact":
        job.artifacts.push(`${this.#nodes.get(event.taskId) ?? "?"}/${event.path}`);
        return;
      case "test-results":
        job.tests.total += event.total;
        job.tests.failed += event.failed;
        return;
      default:
        event satisfies never;
    }
  }

  /** Nothing can happen any more without a person. */
  get stands(): boolean {
    const busy: JobStatus[] = ["queued", "running"];
    const atWork = [...this.workflows.values()].some((workflow) => workflow.status === "running");
    return !atWork && [...this.jobs.values()].every((job) => !busy.includes(job.status));
  }

  #begin(workflows: Extract<WatchEvent, { type: "pipeline" }>["workflows"]): void {
    for (const workflow of workflows) {
      this.workflows.set(workflow.id, { name: workflow.name, status: "running" });
      for (const { id, name } of workflow.jobs) this.jobs.set(id, new JobStory(name));
    }
  }

  #task(job: JobStory, event: Extract<WatchEvent, { type: "task" }>): void {
    this.#nodes.set(event.taskId, event.index);
    if (event.message) job.messages.push(event.message);
    if (event.index !== 0 || event.attempt <= job.attempts) return;
    job.attempts = event.attempt;
    job.steps.clear();
  }

  #isFirst({ taskId }: { taskId: string }): boolean {
    return this.#nodes.get(taskId) === 0;
  }
}

function endedStep(job: JobStory, event: Extract<WatchEvent, { type: "step-ended" }>) {
  return { name: job.steps.get(event.step)?.name ?? "?", outcome: outcomeInWords(event.outcome) };
}

function outcomeInWords(outcome: StepOutcome): string {
  switch (outcome.kind) {
    case "exited":
      return `exited ${outcome.code}`;
    case "timed-out":
      return `timed-out ${outcome.limit}`;
    case "succeeded":
    case "failed":
    case "canceled":
    case "infrastructure":
      return outcome.kind;
    default:
      return outcome satisfies never;
  }
}
