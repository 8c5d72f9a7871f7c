import type { RequireStatus } from "../../config/compiled.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import type { JobStatus, WorkflowStatus } from "../../protocol/watch.ts";

/** Where a pipeline stands: all that the scheduler decides from. Plain data, no clock, no I/O. */
export interface PipelineState {
  /** Why it was cancelled. */
  cancelReason?: string;
  ended: boolean;
  workflows: WorkflowState[];
  /** Of all workflows, in the order of the config. */
  jobs: JobState[];
}

export interface WorkflowState {
  id: string;
  status: WorkflowStatus;
  /** Why nothing of it runs. */
  reason?: string;
  /** How often it is still run again from what failed. */
  rerunsLeft: number;
}

export interface JobState {
  id: string;
  name: string;
  workflowId: string;
  kind: JobKind;
  requires: Requirement[];
  status: JobStatus;
  reason?: string;
  /** Why it cannot run here. It fails with this when it is its turn. */
  refusal?: string;
  /** How it ends then. */
  refusalStatus?: "unauthorized";
  /** Key of the lock that it holds while it runs; `lock` jobs take it for their workflow, `unlock` jobs give it back. */
  lock?: string;
  lockState?: LockState;
  /** Who approved it. May be known before it is its turn. */
  approvedBy?: string;
  tasks: TaskState[];
}

export type JobKind = "build" | "approval" | "no-op" | "lock" | "unlock";

/** `done`: it was held, and given back. `dropped`: given up before it was held. */
export type LockState = "waiting" | "held" | "done" | "dropped";

/** Another job, and in which of these it has to end. */
export interface Requirement {
  job: string;
  statuses: RequireStatus[];
}

export interface TaskState {
  id: string;
  /** The try that is queued or runs, from 1. */
  attempt: number;
  /** `waiting`: its job's turn has not come. */
  status: "waiting" | "queued" | "running" | TaskStatus;
  /** Its agent has been asked to end it. */
  canceling: boolean;
  /** Why it ended as it did. */
  message?: string;
}

/** How often a task is handed out before an infrastructure failure is final. */
export const maxAttempts = 3;

interface OfTask {
  task: string;
  attempt: number;
}

/** Steps had begun: then it must not be run again, unless its class has said that it may be. */
interface Begun {
  begun: boolean;
  unsafeRetries?: boolean;
}

export type PipelineEvent =
  /** First of all. */
  | { type: "start" }
  | ({ type: "claimed"; agent: string } & OfTask)
  | ({ type: "task-ended"; status: TaskStatus; message?: string } & OfTask & Begun)
  /** Its lease ran out, or its agent gave it back. */
  | ({ type: "task-lost"; message: string } & OfTask & Begun)
  | { type: "approve"; job: string; by: string }
  /** Its lock is its own now. */
  | { type: "lock-granted"; job: string }
  /** Somebody else has it. */
  | { type: "lock-taken"; job: string; reason: string }
  | { type: "lock-refused"; job: string; status: "not_run" | "canceled"; reason: string }
  | { type: "cancel"; reason: string };

/** What has to be written down and told, in this order. */
export type Effect =
  | {
      type: "task";
      job: string;
      task: string;
      attempt: number;
      status: Exclude<TaskState["status"], "waiting">;
      agent?: string;
      message?: string;
    }
  /** Its agent is to be told. */
  | { type: "cancel-task"; task: string; reason: string }
  | { type: "approved"; job: string; by: string }
  | { type: "job"; job: string; status: JobStatus; reason?: string }
  | { type: "cancelled"; reason: string }
  | { type: "lock"; job: string; key: string; state: LockState }
  | { type: "workflow"; workflow: string; status: WorkflowStatus; reason?: string }
  /** It failed, and is to be run again from there. */
  | { type: "rerun"; workflow: string }
  | { type: "pipeline-ended" };
