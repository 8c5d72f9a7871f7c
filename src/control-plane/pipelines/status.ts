import type { RequireStatus } from "../../config/compiled.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import type { JobStatus, WorkflowStatus } from "../../protocol/watch.ts";
import type { JobState, TaskState } from "./state.ts";

const taskEnds: readonly string[] = ["success", "failed", "canceled", "timedout", "infrastructure_fail"];

export function isTaskEnd(status: string): status is TaskStatus {
  return taskEnds.includes(status);
}

type JobEnd = Exclude<JobStatus, "blocked" | "on_hold" | "queued" | "running">;

export function isJobEnd(status: JobStatus): status is JobEnd {
  return status !== "blocked" && status !== "on_hold" && status !== "queued" && status !== "running";
}

/** A job's end in the words of `requires`. */
export function requireStatusOf(status: JobEnd): RequireStatus {
  switch (status) {
    case "success":
    case "canceled":
    case "not_run":
    case "unauthorized":
      return status;
    default:
      return "failed";
  }
}

/** First of these that a task of the job ended in; it does not depend on which task ended last. */
const worstFirst = ["canceled", "failed", "timedout", "infrastructure_fail"] as const;

/** Undefined while a task has not ended. */
export function jobStatusOfTasks(tasks: readonly TaskState[]): TaskStatus | undefined {
  if (!tasks.every((task) => isTaskEnd(task.status))) return undefined;
  return worstFirst.find((status) => tasks.some((task) => task.status === status)) ?? "success";
}

export function workflowStatus(jobs: readonly JobState[]): WorkflowStatus {
  if (jobs.length === 0) return "not_run";
  const statuses = new Set(jobs.map((job) => job.status));
  const has = (...some: JobStatus[]): boolean => some.some((status) => statuses.has(status));
  const failed = has("failed", "timedout", "infrastructure_fail", "unauthorized");
  if (has("queued", "running")) return failed ? "failing" : "running";
  if (has("on_hold")) return failed ? "failing" : "on_hold";
  if (has("blocked")) return failed ? "failing" : "running";
  if (has("canceled")) return "canceled";
  if (failed) return "failed";
  return jobs.every((job) => job.status === "not_run") ? "not_run" : "success";
}
