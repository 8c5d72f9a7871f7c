import type { RequireStatus } from "../../src/config/compiled.ts";
import { transition } from "../../src/control-plane/pipelines/machine.ts";
import type { Effect, JobState, PipelineEvent, PipelineState } from "../../src/control-plane/pipelines/state.ts";
import type { TaskStatus } from "../../src/protocol/records.ts";

export interface Shape {
  kind?: JobState["kind"];
  requires?: { job: string; statuses: RequireStatus[] }[];
  tasks?: number;
  refusal?: string;
  lock?: string;
  workflow?: string;
}

/** A pipeline of one workflow `w`, before it starts. */
export function pipeline(shapes: Record<string, Shape>): PipelineState {
  const jobs = Object.entries(shapes).map(
    ([id, { kind = "build", requires = [], tasks = 1, refusal, lock, workflow = "w" }]): JobState => ({
      id,
      name: id,
      workflowId: workflow,
      ...(lock === undefined ? {} : { lock }),
      kind,
      requires,
      status: "blocked",
      ...(refusal === undefined ? {} : { refusal }),
      tasks: Array.from({ length: kind === "build" && refusal === undefined ? tasks : 0 }, (_unused, index) => ({
        id: `${id}.${index}`,
        attempt: 1,
        status: "waiting",
        canceling: false,
      })),
    }),
  );
  return { ended: false, workflows: [{ id: "w", status: "not_run", rerunsLeft: 0 }], jobs };
}

/** The state after these events, and all effects on the way. */
export function play(state: PipelineState, ...events: PipelineEvent[]): { state: PipelineState; effects: Effect[] } {
  const effects: Effect[] = [];
  let now = state;
  for (const event of events) {
    const next = transition(now, event);
    now = next.state;
    effects.push(...next.effects);
  }
  return { state: now, effects };
}

export function statuses(state: PipelineState): Record<string, string> {
  return Object.fromEntries(state.jobs.map((job) => [job.id, job.status]));
}

export const start: PipelineEvent = { type: "start" };
export const claimed = (task: string, attempt = 1): PipelineEvent => ({ type: "claimed", task, attempt, agent: "a" });
export const ended = (task: string, status: TaskStatus, attempt = 1, begun = true): PipelineEvent => ({
  type: "task-ended",
  task,
  attempt,
  status,
  begun,
});
export const needs = (job: string, ...statuses: RequireStatus[]) => ({
  job,
  statuses: statuses.length > 0 ? statuses : (["success"] as RequireStatus[]),
});
