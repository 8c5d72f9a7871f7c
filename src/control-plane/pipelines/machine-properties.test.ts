import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { claimed, ended, pipeline, play, type Shape, start } from "../../../test/fakes/pipeline-states.ts";
import type { RequireStatus } from "../../config/compiled.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import { transition } from "./machine.ts";
import type { JobState, PipelineEvent, PipelineState } from "./state.ts";
import { isJobEnd, isTaskEnd, requireStatusOf } from "./status.ts";

const anyStatuses = fc.subarray<RequireStatus>(["success", "failed", "canceled", "unauthorized", "not_run"], {
  minLength: 1,
});
const anyShape = fc.record({
  kind: fc.oneof(
    { weight: 6, arbitrary: fc.constant("build" as const) },
    fc.constantFrom("approval" as const, "no-op" as const, "lock" as const, "unlock" as const),
  ),
  tasks: fc.integer({ min: 1, max: 3 }),
  lock: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
  refused: fc.integer({ min: 0, max: 9 }),
  requires: fc.array(fc.record({ job: fc.nat(), statuses: anyStatuses }), { maxLength: 3 }),
});
const anyGraph = fc.array(anyShape, { minLength: 1, maxLength: 8 }).map((shapes) =>
  pipeline(
    Object.fromEntries(
      shapes.map(({ kind, tasks, lock, refused, requires }, index): [string, Shape] => [
        `j${index}`,
        {
          kind,
          tasks,
          ...(lock === undefined ? {} : { lock }),
          ...(refused === 0 && kind === "build" ? { refusal: "not here" } : {}),
          requires: index === 0 ? [] : requires.map(({ job, statuses }) => ({ job: `j${job % index}`, statuses })),
        },
      ]),
    ),
  ),
);
/** What each attempt of each task comes to, decided ahead. */
const anyFate = fc.func(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant("success" as const) },
    fc.constantFrom("failed", "timedout", "canceled", "infrastructure_fail", "lost", "lost-late" as const),
  ),
);
type Fate = (task: string, attempt: number) => TaskStatus | "lost" | "lost-late";

/** Everything that could be heard of now. */
function possible(state: PipelineState, fate: Fate): PipelineEvent[] {
  return state.jobs.flatMap((job): PipelineEvent[] => {
    // Whose turn it is, is not decided by the machine.
    if (job.lockState === "waiting") return [{ type: "lock-granted", job: job.id }];
    if (job.status === "on_hold") return [{ type: "approve", job: job.id, by: "me" }];
    return job.tasks.flatMap(({ id, attempt, status }): PipelineEvent[] => {
      if (status !== "queued" && status !== "running") return [];
      const end = fate(id, attempt);
      const heard: PipelineEvent = end.startsWith("lost")
        ? { type: "task-lost", task: id, attempt, begun: end === "lost-late", message: "gone" }
        : ended(id, end as TaskStatus, attempt, attempt % 2 === 0);
      return status === "queued" ? [claimed(id, attempt), heard] : [heard];
    });
  });
}

/** Plays on, choosing among what is possible and what was heard before, until nothing new can happen. */
function playOut(
  graph: PipelineState,
  fate: Fate,
  choices: number[],
): { state: PipelineState; heard: PipelineEvent[] } {
  let { state } = transition(graph, start);
  const heard: PipelineEvent[] = [start];
  for (let turn = 0; ; turn++) {
    const open = possible(state, fate);
    if (open.length === 0) return { state, heard };
    const choice = choices[turn % choices.length] ?? 0;
    // Now and then something is told again.
    const again = choice % 3 === 0 ? heard[choice % heard.length] : undefined;
    if (again) state = transition(state, again).state;
    const event = open[choice % open.length] ?? start;
    heard.push(event);
    state = transition(state, event).state;
  }
}

function outcome(state: PipelineState): unknown {
  return {
    ended: state.ended,
    workflows: state.workflows,
    jobs: state.jobs.map(({ id, status, tasks }) => ({
      id,
      status,
      tasks: tasks.map((task) => [task.status, task.attempt]),
    })),
  };
}

const anyChoices = fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 40 });

describe("whatever happens", () => {
  test("any order and repetition of what is heard ends in the same state", () => {
    fc.assert(
      fc.property(anyGraph, anyFate, anyChoices, anyChoices, (graph, fate, one, other) => {
        const first = playOut(graph, fate as Fate, one);
        const second = playOut(graph, fate as Fate, other);
        const again = play(first.state, ...first.heard, ...second.heard);

        expect(outcome(first.state)).toEqual(outcome(second.state));
        expect(outcome(again.state)).toEqual(outcome(first.state));
      }),
      { numRuns: 400 },
    );
  });

  test("nothing stays open once everything has been heard", () => {
    fc.assert(
      fc.property(anyGraph, anyFate, anyChoices, (graph, fate, choices) => {
        const { state } = playOut(graph, fate as Fate, choices);

        expect(state.ended).toBe(true);
        for (const job of state.jobs) expect(isJobEnd(job.status), `${job.id} is ${job.status}`).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test("no job runs before what it requires, and what has ended never changes", () => {
    const anyEvent = fc.oneof(
      { weight: 4, arbitrary: fc.record({ type: fc.constant("choose" as const), choice: fc.nat({ max: 1000 }) }) },
      fc.record({
        type: fc.constantFrom("claimed" as const, "task-ended" as const, "task-lost" as const),
        task: fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 2 })).map(([job, index]) => `j${job}.${index}`),
        attempt: fc.integer({ min: 1, max: 4 }),
        status: fc.constantFrom<TaskStatus>("success", "failed", "canceled", "timedout", "infrastructure_fail"),
        begun: fc.boolean(),
        agent: fc.constant("a"),
        message: fc.constant("gone"),
      }),
      fc.record({
        type: fc.constant("approve" as const),
        job: fc.nat({ max: 7 }).map((job) => `j${job}`),
        by: fc.constant("me"),
      }),
      fc.record({ type: fc.constant("cancel" as const), reason: fc.constant("enough") }),
    );
    fc.assert(
      fc.property(anyGraph, anyFate, fc.array(anyEvent, { maxLength: 60 }), (graph, fate, events) => {
        let { state } = transition(graph, start);
        for (const event of events) {
          const open = possible(state, fate as Fate);
          const next = event.type === "choose" ? open[event.choice % Math.max(open.length, 1)] : event;
          if (!next) continue;
          const after = transition(state, next as PipelineEvent).state;
          expect(violations(state, after)).toEqual([]);
          state = after;
        }
      }),
      { numRuns: 400 },
    );
  });
});

/** What is wrong with a step from one state to the next, in words. */
function violations(before: PipelineState, after: PipelineState): string[] {
  return after.jobs.flatMap((job, index) => {
    const was = before.jobs[index];
    const tasks = job.tasks.filter((task, place) => {
      const taskWas = was?.tasks[place];
      return taskWas && isTaskEnd(taskWas.status) && task.status !== taskWas.status;
    });
    const found = tasks.map((task) => `${task.id} had ended, and changed to ${task.status}`);
    if (was && isJobEnd(was.status) && job.status !== was.status) found.push(`${job.id} had ended, and changed`);
    if (job.status !== "queued" && job.status !== "running") return found;
    return [
      ...found,
      ...job.requires.filter((required) => !isMet(after, required)).map(({ job: id }) => `${job.id} before ${id}`),
    ];
  });
}

function isMet(state: PipelineState, { job, statuses }: JobState["requires"][number]): boolean {
  const required = state.jobs.find(({ id }) => id === job);
  return required !== undefined && isJobEnd(required.status) && statuses.includes(requireStatusOf(required.status));
}
