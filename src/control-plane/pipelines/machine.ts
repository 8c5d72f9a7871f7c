import {
  type Effect,
  type JobState,
  type LockState,
  maxAttempts,
  type PipelineEvent,
  type PipelineState,
  type TaskState,
  type WorkflowState,
} from "./state.ts";
import { isJobEnd, isTaskEnd, jobStatusOfTasks, requireStatusOf, workflowStatus } from "./status.ts";

export interface Transition {
  state: PipelineState;
  effects: Effect[];
}

/**
 * The scheduler: what an event makes of a pipeline, and what has to be told. Pure. An event that comes twice, too late, or
 * for an older attempt changes nothing; what has ended never changes again.
 */
export function transition(before: PipelineState, event: PipelineEvent): Transition {
  const draft = new Draft(before);
  if (!before.ended) {
    applyEvent(draft, event);
    settle(draft);
  }
  return { state: draft.state, effects: draft.effects };
}

/** A copy that is being changed, and what was changed. */
class Draft {
  readonly state: PipelineState;
  readonly effects: Effect[] = [];
  readonly jobs: ReadonlyMap<string, JobState>;

  constructor(before: PipelineState) {
    this.state = {
      ...before,
      workflows: before.workflows.map((workflow) => ({ ...workflow })),
      jobs: before.jobs.map((job) => ({ ...job, tasks: job.tasks.map((task) => ({ ...task })) })),
    };
    this.jobs = new Map(this.state.jobs.map((job) => [job.id, job]));
  }

  setJob(job: JobState, status: JobState["status"], reason?: string): void {
    if (job.status === status) return;
    job.status = status;
    delete job.reason;
    if (reason !== undefined) job.reason = reason;
    this.effects.push({ type: "job", job: job.id, status, ...(reason === undefined ? {} : { reason }) });
    if (!isJobEnd(status)) return;
    // A `lock` job that got its lock holds it for its workflow, until that gives it back.
    if (job.lockState === "waiting") this.setLock(job, "dropped");
    if (job.lockState === "held" && job.kind !== "lock") this.setLock(job, "done");
  }

  setLock(job: JobState, state: LockState): void {
    job.lockState = state;
    this.effects.push({ type: "lock", job: job.id, key: job.lock ?? "", state });
  }

  setTask(job: JobState, task: TaskState, to: { status: Exclude<TaskState["status"], "waiting"> } & TaskWords): void {
    task.status = to.status;
    if (to.message !== undefined) task.message = to.message;
    this.effects.push({ type: "task", job: job.id, task: task.id, attempt: task.attempt, ...to });
  }

  findTask(id: string, attempt: number): { job: JobState; task: TaskState } | undefined {
    for (const job of this.state.jobs) {
      const task = job.tasks.find((candidate) => candidate.id === id && candidate.attempt === attempt);
      if (task) return { job, task };
    }
    return undefined;
  }
}

interface TaskWords {
  agent?: string;
  message?: string;
}

function applyEvent(draft: Draft, event: PipelineEvent): void {
  switch (event.type) {
    case "start":
      return;
    case "claimed":
      return claimed(draft, event);
    case "task-ended":
      return taskEnded(draft, event);
    case "task-lost":
      return taskLost(draft, event);
    case "approve":
      return approve(draft, event);
    case "lock-granted":
    case "lock-taken":
    case "lock-refused":
      return lockNews(draft, event);
    case "cancel":
      return cancel(draft, event.reason);
  }
}

function claimed(draft: Draft, event: PipelineEvent & { type: "claimed" }): void {
  const found = draft.findTask(event.task, event.attempt);
  if (found?.task.status !== "queued") return;
  draft.setTask(found.job, found.task, { status: "running", agent: event.agent });
  draft.setJob(found.job, "running");
}

function taskEnded(draft: Draft, event: PipelineEvent & { type: "task-ended" }): void {
  const found = draft.findTask(event.task, event.attempt);
  if (!found || !isHandedOut(found.task)) return;
  const words = event.message === undefined ? {} : { message: event.message };
  if (event.status === "infrastructure_fail" && mayRunAgain(draft, found.task, event))
    return requeue(draft, found, event.message ?? "infrastructure failure");
  endTask(draft, found, { status: event.status, ...words });
}

function taskLost(draft: Draft, event: PipelineEvent & { type: "task-lost" }): void {
  const found = draft.findTask(event.task, event.attempt);
  if (!found || !isHandedOut(found.task)) return;
  if (draft.state.cancelReason !== undefined)
    return endTask(draft, found, { status: "canceled", message: draft.state.cancelReason });
  if (mayRunAgain(draft, found.task, event)) return requeue(draft, found, event.message);
  const tried = event.begun && !event.unsafeRetries ? "" : `; tried ${found.task.attempt} times`;
  endTask(draft, found, { status: "infrastructure_fail", message: `${event.message}${tried}` });
}

/** An end may be heard of before the claim that led to it. */
function isHandedOut(task: TaskState): boolean {
  return task.status === "queued" || task.status === "running";
}

function mayRunAgain(
  draft: Draft,
  task: TaskState,
  { begun, unsafeRetries = false }: { begun: boolean; unsafeRetries?: boolean },
): boolean {
  return (!begun || unsafeRetries) && task.attempt < maxAttempts && draft.state.cancelReason === undefined;
}

function requeue(draft: Draft, { job, task }: { job: JobState; task: TaskState }, message: string): void {
  task.attempt += 1;
  draft.setTask(job, task, { status: "queued", message });
  if (job.tasks.every((other) => other.status === "queued")) draft.setJob(job, "queued", message);
}

function endTask(
  draft: Draft,
  { job, task }: { job: JobState; task: TaskState },
  end: { status: Exclude<TaskState["status"], "waiting">; message?: string },
): void {
  draft.setTask(job, task, end);
  const status = jobStatusOfTasks(job.tasks);
  if (status === undefined) return draft.setJob(job, "running");
  // The words of the first such task, whichever ended last.
  draft.setJob(job, status, job.tasks.find((other) => other.status === status && other.message)?.message);
}

function approve(draft: Draft, event: PipelineEvent & { type: "approve" }): void {
  const job = draft.jobs.get(event.job);
  if (!job || job.kind !== "approval" || isJobEnd(job.status) || job.approvedBy !== undefined) return;
  job.approvedBy = event.by;
  draft.effects.push({ type: "approved", job: job.id, by: event.by });
}

function cancel(draft: Draft, reason: string): void {
  if (draft.state.cancelReason !== undefined) return;
  draft.state.cancelReason = reason;
  draft.effects.push({ type: "cancelled", reason });
  for (const job of draft.state.jobs) if (!isJobEnd(job.status)) cancelJob(draft, job, reason);
}

/** Tasks that no agent has end at once; the others when their agents say so, or their leases run out. */
function cancelJob(draft: Draft, job: JobState, reason: string): void {
  if (job.status === "blocked" || job.status === "on_hold" || job.lockState === "waiting")
    return draft.setJob(job, "canceled", reason);
  for (const task of job.tasks) {
    if (task.status === "queued") endTask(draft, { job, task }, { status: "canceled", message: reason });
    if (task.status !== "running" || task.canceling) continue;
    task.canceling = true;
    draft.effects.push({ type: "cancel-task", task: task.id, reason });
  }
}

/** Lets everything happen whose turn has come, until nothing more does. */
function settle(draft: Draft): void {
  let waiting = draft.state.jobs.filter((job) => !isJobEnd(job.status));
  for (let moved = true; moved; ) {
    moved = false;
    for (const job of waiting) moved = advance(draft, job) || moved;
    waiting = waiting.filter((job) => job.status === "blocked" || job.status === "on_hold");
  }
  tellWorkflows(draft);
}

function advance(draft: Draft, job: JobState): boolean {
  if (job.status === "on_hold" && job.approvedBy !== undefined) {
    draft.setJob(job, "success");
    return true;
  }
  if (job.status !== "blocked" || job.lockState === "waiting") return false;
  const verdict = judgeRequirements(draft, job);
  if (verdict === "wait") return false;
  if (verdict === "go") begin(draft, job);
  else draft.setJob(job, "not_run", verdict.reason);
  return true;
}

function judgeRequirements(draft: Draft, job: JobState): "wait" | "go" | { reason: string } {
  let verdict: "wait" | "go" = "go";
  for (const { job: id, statuses } of job.requires) {
    const required = draft.jobs.get(id);
    if (!required) return { reason: "a job that it requires is not in this pipeline" };
    if (!isJobEnd(required.status)) verdict = "wait";
    else if (!statuses.includes(requireStatusOf(required.status)))
      return { reason: `${required.name} ended as ${required.status}, and had to end as ${statuses.join(" or ")}` };
  }
  return verdict;
}

function begin(draft: Draft, job: JobState): void {
  if (job.refusal !== undefined) return draft.setJob(job, job.refusalStatus ?? "failed", job.refusal);
  if (job.kind === "unlock") return unlock(draft, job);
  // Only who sees all pipelines can say whose turn it is.
  if (job.lock !== undefined) return draft.setLock(job, "waiting");
  work(draft, job);
}

function lockNews(
  draft: Draft,
  event: Extract<PipelineEvent, { type: "lock-granted" | "lock-taken" | "lock-refused" }>,
): void {
  const job = draft.jobs.get(event.job);
  if (job?.lockState !== "waiting") return;
  if (event.type === "lock-refused") return draft.setJob(job, event.status, event.reason);
  if (event.type === "lock-taken") return draft.setJob(job, "queued", event.reason);
  draft.setLock(job, "held");
  work(draft, job);
}

/** Gives back what a `lock` job of its workflow holds. */
function unlock(draft: Draft, job: JobState): void {
  const holders = draft.state.jobs.filter(
    (other) => other.workflowId === job.workflowId && other.lock === job.lock && isHeldForWorkflow(other),
  );
  for (const holder of holders) draft.setLock(holder, "done");
  draft.setJob(job, "success", holders.length > 0 ? undefined : `this workflow did not hold the lock "${job.lock}"`);
}

function isHeldForWorkflow(job: JobState): boolean {
  return job.kind === "lock" && job.lockState === "held";
}

/** Its turn has come, and its lock is its own where it needs one. */
function work(draft: Draft, job: JobState): void {
  if (job.kind === "no-op" || job.kind === "lock") return draft.setJob(job, "success");
  if (job.kind === "approval") return draft.setJob(job, job.approvedBy === undefined ? "on_hold" : "success");
  draft.setJob(job, "queued");
  for (const task of job.tasks) draft.setTask(job, task, { status: "queued" });
}

function tellWorkflows(draft: Draft): void {
  const jobsOf = Map.groupBy(draft.state.jobs, (job) => job.workflowId);
  for (const workflow of draft.state.workflows) tellWorkflow(draft, workflow, jobsOf.get(workflow.id) ?? []);
  if (draft.effects.some(({ type }) => type === "rerun")) return;
  if (!draft.state.jobs.every((job) => isJobEnd(job.status) && job.tasks.every(hasNothingLeft))) return;
  draft.state.ended = true;
  draft.effects.push({ type: "pipeline-ended" });
}

function tellWorkflow(draft: Draft, workflow: WorkflowState, jobs: readonly JobState[]): void {
  const status = workflowStatus(jobs);
  // What nobody gave back ends with the workflow.
  if (jobs.every((job) => isJobEnd(job.status)))
    for (const job of jobs.filter(isHeldForWorkflow)) draft.setLock(job, "done");
  if (status === workflow.status) return;
  workflow.status = status;
  const reason = workflow.reason === undefined ? {} : { reason: workflow.reason };
  draft.effects.push({ type: "workflow", workflow: workflow.id, status, ...reason });
  if (status !== "failed" || workflow.rerunsLeft === 0 || draft.state.cancelReason !== undefined) return;
  // What cannot run here fails again.
  if (!jobs.some((job) => job.refusal === undefined && requireStatus(job) === "failed")) return;
  draft.effects.push({ type: "rerun", workflow: workflow.id });
}

function requireStatus({ status }: JobState): string {
  return isJobEnd(status) ? requireStatusOf(status) : status;
}

function hasNothingLeft(task: TaskState): boolean {
  return task.status === "waiting" || isTaskEnd(task.status);
}
