import { describe, expect, test } from "vitest";
import {
  claimed,
  ended,
  needs,
  pipeline,
  play,
  type Shape,
  start,
  statuses,
} from "../../../test/fakes/pipeline-states.ts";
import { maxAttempts, type PipelineEvent } from "./state.ts";

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
