import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RequireStatus } from "../../config/compiled.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import { transition } from "./machine.ts";
import { type Effect, type JobState, maxAttempts, type PipelineEvent, type PipelineState } from "./state.ts";
import { isJobEnd, isTaskEnd, requireStatusOf } from "./status.ts";

interface Shape {
  kind?: JobState["kind"];
  requires?: { job: string; statuses: RequireStatus[] }[];
  tasks?: number;
  refusal?: string;
  lock?: string;
  workflow?: string;
}

function pipeline(shapes: Record<string, Shape>): PipelineState {
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

function play(state: PipelineState, ...events: PipelineEvent[]): { state: PipelineState; effects: Effect[] } {
  const effects: Effect[] = [];
  let now = state;
  for (const event of events) {
    const next = transition(now, event);
    now = next.state;
    effects.push(...next.effects);
  }
  return { state: now, effects };
}

function statuses(state: PipelineState): Record<string, string> {
  return Object.fromEntries(state.jobs.map((job) => [job.id, job.status]));
}

const start: PipelineEvent = { type: "start" };
const claimed = (task: string, attempt = 1): PipelineEvent => ({ type: "claimed", task, attempt, agent: "a" });
const ended = (task: string, status: TaskStatus, attempt = 1, begun = true): PipelineEvent => ({
  type: "task-ended",
  task,
  attempt,
  status,
  begun,
});
const needs = (job: string, ...statuses: RequireStatus[]) => ({
  job,
  statuses: statuses.length > 0 ? statuses : (["success"] as RequireStatus[]),
});

describe("a pipeline", () => {
  test("queues what requires nothing, and lets the rest wait", () => {
    const { state } = play(pipeline({ a: {}, b: { requires: [needs("a")] } }), start);

    expect(statuses(state)).toEqual({ a: "queued", b: "blocked" });
  });

  test("goes on with the rest of the graph when a job fails", () => {
    const { state } = play(
      pipeline({ a: {}, b: { requires: [needs("a")] }, c: { requires: [needs("b")] }, d: {} }),
      start,
      ended("a.0", "failed"),
      ended("d.0", "success"),
    );

    expect(statuses(state)).toEqual({ a: "failed", b: "not_run", c: "not_run", d: "success" });
    expect(state.workflows[0]?.status).toBe("failed");
    expect(state.ended).toBe(true);
  });

  test("runs a job that requires another one to have failed", () => {
    const { state } = play(
      pipeline({ a: {}, b: { requires: [needs("a", "failed")] } }),
      start,
      ended("a.0", "timedout"),
    );

    expect(statuses(state)).toEqual({ a: "timedout", b: "queued" });
    expect(state.workflows[0]?.status).toBe("failing");
  });

  test("fails a job when one of its tasks fails, once all have ended", () => {
    const one = play(pipeline({ a: { tasks: 2 } }), start, claimed("a.0"), claimed("a.1"), ended("a.0", "failed"));
    const both = play(one.state, ended("a.1", "success"));

    expect(statuses(one.state)).toEqual({ a: "running" });
    expect(statuses(both.state)).toEqual({ a: "failed" });
  });

  test("waits for a person, and is on hold meanwhile", () => {
    const held = play(pipeline({ ok: { kind: "approval" }, b: { requires: [needs("ok")] } }), start);
    const approved = play(held.state, { type: "approve", job: "ok", by: "me" });

    expect(held.state.workflows[0]?.status).toBe("on_hold");
    expect(statuses(approved.state)).toEqual({ ok: "success", b: "queued" });
  });

  test("fails a job that cannot run here, with the reason, when it is its turn", () => {
    const { state, effects } = play(
      pipeline({ a: { kind: "no-op" }, b: { requires: [needs("a")], refusal: "macOS" } }),
      start,
    );

    expect(statuses(state)).toEqual({ a: "success", b: "failed" });
    expect(effects).toContainEqual({ type: "job", job: "b", status: "failed", reason: "macOS" });
  });

  test("ends at once when nothing is in it", () => {
    expect(play({ ended: false, workflows: [], jobs: [] }, start).effects).toEqual([{ type: "pipeline-ended" }]);
  });
});

describe("an infrastructure failure", () => {
  test("puts the task back while no step has begun, three times at most", () => {
    let { state } = play(pipeline({ a: {} }), start);
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      ({ state } = play(state, claimed("a.0", attempt), ended("a.0", "infrastructure_fail", attempt, false)));
      expect(statuses(state)).toEqual({ a: "queued" });
    }
    ({ state } = play(state, claimed("a.0", 3), {
      type: "task-lost",
      task: "a.0",
      attempt: 3,
      begun: false,
      message: "gone",
    }));

    expect(statuses(state)).toEqual({ a: "infrastructure_fail" });
    expect(state.jobs[0]?.reason).toBe("gone; tried 3 times");
  });

  test("is final when a step has begun", () => {
    const { state } = play(pipeline({ a: {} }), start, claimed("a.0"), ended("a.0", "infrastructure_fail"));

    expect(statuses(state)).toEqual({ a: "infrastructure_fail" });
  });

  test("leaves no say to the attempt that was given up", () => {
    const lost: PipelineEvent = { type: "task-lost", task: "a.0", attempt: 1, begun: false, message: "gone" };
    const { state } = play(
      pipeline({ a: {} }),
      start,
      claimed("a.0"),
      lost,
      claimed("a.0", 2),
      ended("a.0", "failed", 1),
    );

    expect(statuses(state)).toEqual({ a: "running" });
  });
});

describe("cancelling", () => {
  test("ends at once what no agent has, and asks the agents for the rest", () => {
    const shapes = { a: {}, b: {}, c: { requires: [needs("a")] }, d: { requires: [needs("a", "canceled")] } };
    const { state, effects } = play(pipeline(shapes), start, claimed("a.0"), { type: "cancel", reason: "enough" });

    expect(statuses(state)).toEqual({ a: "running", b: "canceled", c: "canceled", d: "canceled" });
    expect(effects).toContainEqual({ type: "cancel-task", task: "a.0", reason: "enough" });
    expect(state.ended).toBe(false);
  });

  test("needs no answer of an agent that is gone", () => {
    const { state } = play(
      pipeline({ a: {} }),
      start,
      claimed("a.0"),
      { type: "cancel", reason: "enough" },
      { type: "task-lost", task: "a.0", attempt: 1, begun: false, message: "gone" },
    );

    expect(statuses(state)).toEqual({ a: "canceled" });
    expect(state.ended).toBe(true);
  });
});

describe("a lock", () => {
  const granted = (job: string): PipelineEvent => ({ type: "lock-granted", job });

  test("is asked for when it is the job's turn, and given back however the job ends", () => {
    const asked = play(pipeline({ a: { lock: "db" } }), start);
    const over = play(asked.state, granted("a"), claimed("a.0"), ended("a.0", "failed"));

    expect(asked.effects).toContainEqual({ type: "lock", job: "a", key: "db", state: "waiting" });
    expect(over.effects).toContainEqual({ type: "lock", job: "a", key: "db", state: "done" });
    expect(statuses(over.state)).toEqual({ a: "failed" });
  });

  test("of a lock job is held until the workflow unlocks it", () => {
    const shapes: Record<string, Shape> = {
      take: { kind: "lock", lock: "db" },
      a: { requires: [needs("take")] },
      give: { kind: "unlock", lock: "db", requires: [needs("a", "success", "failed")] },
    };
    const held = play(pipeline(shapes), start, granted("take"));
    const over = play(held.state, claimed("a.0"), ended("a.0", "failed"));

    expect(held.state.jobs[0]).toMatchObject({ status: "success", lockState: "held" });
    expect(over.state.jobs[0]).toMatchObject({ status: "success", lockState: "done" });
    expect(statuses(over.state)).toEqual({ take: "success", a: "failed", give: "success" });
  });

  test("that nobody gives back ends with its workflow", () => {
    const { state } = play(pipeline({ take: { kind: "lock", lock: "db" } }), start, granted("take"));

    expect(state.jobs[0]?.lockState).toBe("done");
  });

  test("is not held by a job that was cancelled while it waited", () => {
    const taken: PipelineEvent = { type: "lock-taken", job: "a", reason: "b has it" };
    const { state, effects } = play(pipeline({ a: { lock: "db" } }), start, taken, {
      type: "cancel",
      reason: "enough",
    });

    expect(effects).toContainEqual({ type: "job", job: "a", status: "queued", reason: "b has it" });
    expect(state.jobs[0]).toMatchObject({ status: "canceled", lockState: "dropped" });
  });
});

describe("a workflow that failed", () => {
  const again = { ...pipeline({ a: {} }), workflows: [{ id: "w", status: "running" as const, rerunsLeft: 1 }] };

  test("is to be run again while it may, and the pipeline goes on", () => {
    const { state, effects } = play(again, start, ended("a.0", "failed"));

    expect(effects.at(-1)).toEqual({ type: "rerun", workflow: "w" });
    expect(state.ended).toBe(false);
  });

  test("is not run again when somebody cancelled it", () => {
    const { effects } = play(again, start, claimed("a.0"), { type: "cancel", reason: "no" }, ended("a.0", "failed"));

    expect(effects.at(-1)).toEqual({ type: "pipeline-ended" });
  });
});

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
