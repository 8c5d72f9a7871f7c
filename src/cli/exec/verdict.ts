import { type ExitCode, exitCode } from "../io.ts";
import type { PipelineModel } from "./model.ts";

/** What a run comes to. */
export function verdict(model: PipelineModel, facts: { interrupted: boolean; engineLost: boolean }): ExitCode {
  if (facts.interrupted) return exitCode.interrupted;
  // Of a workflow that was run again, the last run counts.
  const last = [...model.workflows.values()].filter((workflow) => !workflow.rerun);
  const ids = new Set(last.map((workflow) => workflow.id));
  const jobs = [...model.jobs.values()].filter((job) => ids.has(job.workflowId));
  const statuses = new Set(jobs.map((job) => job.status));
  if (facts.engineLost || statuses.has("infrastructure_fail")) return exitCode.infrastructure;
  const workflows = last.map((workflow) => workflow.status);
  const red = workflows.some((status) => status === "failed" || status === "error" || status === "failing");
  return red || statuses.has("failed") || statuses.has("timedout") ? exitCode.failed : exitCode.success;
}
