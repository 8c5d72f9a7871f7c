import { describe, expect, test } from "vitest";
import { started } from "../../../../test/fakes/fake-agent.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../../../../test/fakes/temporary-control-plane.ts";
import { until } from "../../../../test/fakes/until.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";

const stepMs = 5_000;

/** A clock that can be put forward; its pauses are short. */
function hastyClock() {
  let aheadMs = 0;
  let pauses = 0;
  return {
    ...systemClock,
    now: () => systemClock.now() + aheadMs,
    sleep: (ms: number, signal?: AbortSignal) => {
      pauses += 1;
      return systemClock.sleep(Math.min(ms, 10), signal);
    },
    /** At once, as when somebody sets it. */
    jump: (ms: number) => {
      aheadMs += ms;
    },
    /** As time goes by, with all that happens meanwhile. */
    forward: async (ms: number) => {
      for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
        aheadMs += Math.min(stepMs, leftMs);
        const before = pauses;
        await until(() => pauses > before + 4);
      }
    },
  };
}

describe("a lease", () => {
  test("that runs out puts a task back whose steps had not begun, and refuses its old agent", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    await plane.start(configOf(["build"]));
    const lost = await plane.agent.claim(plane.token);
    await clock.forward(31_000);
    let again = await plane.agent.claim(plane.token, { name: "second" });
    await until(async () => {
      again ??= await plane.agent.claim(plane.token, { name: "second" });
      return again !== undefined;
    });

    const answers = [
      await lost?.finish(),
      await lost?.call("POST", agentApi.heartbeat, { json: {} }),
      await lost?.call("GET", agentApi.taskConfig),
      await lost?.call("PUT", `${agentApi.artifacts}?path=a`, { body: "x" }),
      await lost?.call("POST", agentApi.unclaim, { json: { task_id: lost.task.id, task_token: lost.token } }),
    ];

    expect(again?.task.attempt).toBe(2);
    for (const answer of answers) expect(answer).toMatchObject({ status: 409, json: { code: "stale-attempt" } });
  });

  test("that runs out after the first step ends the task as infrastructure failure", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    const { id } = await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token, { name: "lost one" });
    await held?.send([started(100)]);

    await clock.forward(31_000);

    const story = await storyOf(plane.controlPlane, id);
    expect(jobEnds(story)).toEqual({ build: "infrastructure_fail" });
    expect(story).toContainEqual(
      expect.objectContaining({ type: "job", reason: "the agent lost one has not been heard of for 30 s" }),
    );
    expect(await held?.send([started(101)])).toMatchObject({ status: 409, json: { code: "stale-attempt" } });
  });

  test("is renewed by a heartbeat", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);

    for (let beat = 0; beat < 4; beat++) {
      await clock.forward(20_000);
      await held?.call("POST", agentApi.heartbeat, { json: {} });
    }

    expect((await held?.finish())?.status).toBe(200);
  });

  test("is whole again when the control plane comes back", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);
    await plane.controlPlane.close({ graceMs: 0 });
    clock.jump(3_600_000);

    await using back = await temporaryControlPlane({ clock, dataDirectory: `${plane.directory}/data` });

    const beat = await back.agent.call("POST", agentApi.heartbeat, { token: held?.token ?? "", json: {} });
    expect(beat).toMatchObject({ status: 200, json: { lease_ms: 30_000, cancel: null } });
  });
});

test.each([
  ["ahead", 3_600_000],
  ["back", -3_600_000],
])("a clock that is set an hour %s takes no task away, and keeps none that is lost", async (_title, ms) => {
  const clock = hastyClock();
  await using plane = await temporaryControlPlane({ clock });
  await plane.start(configOf(["build", "lost"]));
  const held = await plane.agent.claim(plane.token);
  await plane.agent.claim(plane.token, { name: "lost" });
  clock.jump(ms);
  await clock.forward(20_000);

  expect((await held?.call("POST", agentApi.heartbeat, { json: {} }))?.status).toBe(200);
  await clock.forward(20_000);

  expect((await held?.finish())?.status).toBe(200);
  expect(await plane.agent.claim(plane.token, { waitMs: 10_000 })).toMatchObject({
    task: { job: { name: "lost" }, attempt: 2 },
  });
});

describe("giving back", () => {
  test("queues the task again, and says when it was tried too often", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf(["build"]));
    const statuses: (number | undefined)[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const held = await plane.agent.claim(plane.token);
      const json = { task_id: held?.task.id, task_token: held?.token, reason: "no room" };
      statuses.push((await plane.agent.call("POST", agentApi.unclaim, { json })).status);
    }

    expect(statuses).toEqual([200, 200, 409]);
    expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "infrastructure_fail" });
  });

  test("needs the token of that very task", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["one", "two"]));
    const one = await plane.agent.claim(plane.token);
    const two = await plane.agent.claim(plane.token);

    const json = { task_id: one?.task.id, task_token: two?.token };

    expect(await plane.agent.call("POST", agentApi.unclaim, { json })).toMatchObject({ status: 400 });
  });

  test("is too late for a task that is over", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);
    await held?.finish();

    const json = { task_id: held?.task.id, task_token: held?.token };

    expect(await plane.agent.call("POST", agentApi.unclaim, { json })).toMatchObject({ status: 404 });
  });

  test("an infrastructure failure that is reported is tried again", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);
    const json = { allocation: "x", timestamp: 1, message: Buffer.from("engine gone").toString("base64") };

    const answer = await held?.call("POST", agentApi.fail, { json });

    expect(answer?.status).toBe(200);
    expect((await plane.agent.claim(plane.token))?.task.attempt).toBe(2);
  });
});

describe("cancelling", () => {
  test("reaches an agent that holds a heartbeat open", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf(["build", "waiting"]));
    const held = await plane.agent.claim(plane.token);
    const beat = held?.call("POST", agentApi.heartbeat, { json: { wait_ms: 30_000 } });

    await plane.controlPlane.cancelPipeline(id, "enough");
    await plane.controlPlane.cancelPipeline(id, "again");

    expect(await beat).toMatchObject({ status: 200, json: { cancel: { reason: "enough" } } });
    await held?.finish("canceled");
    const story = await storyOf(plane.controlPlane, id);
    expect(jobEnds(story)).toEqual({ build: "canceled", waiting: "canceled" });
    expect(story).toContainEqual(expect.objectContaining({ type: "workflow", status: "canceled" }));
  });

  test("of a pipeline that is not there is told", async () => {
    await using plane = await temporaryControlPlane();

    await expect(plane.controlPlane.cancelPipeline("x", "y")).rejects.toThrow("there is no pipeline x");
  });
});
