import { describe, expect, test } from "vitest";
import { started } from "../../../../test/fakes/fake-agent.ts";
import { noNetwork } from "../../../../test/fakes/tasks.ts";
import {
  configOf,
  jobEnds,
  newPipeline,
  storyOf,
  temporaryControlPlane,
  testClass,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";
import { ClassSettings } from "../../../protocol/resource-class.ts";

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
    pauses: () => pauses,
    forward: (ms: number) => {
      aheadMs += ms;
    },
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await systemClock.sleep(2);
}

describe("claiming", () => {
  test("hands out the oldest task of the class, whole", async () => {
    await using plane = await temporaryControlPlane();
    const pipeline = await plane.start(configOf(["one", "two"], { parallelism: 2 }));

    const first = await plane.agent.claim(plane.token);
    const second = await plane.agent.claim(plane.token);

    expect(first?.task).toMatchObject({
      attempt: 1,
      job: { name: "one" },
      workflow: { name: "w" },
      pipeline,
      node: { index: 0, total: 2 },
      container: { executor: "machine", network: noNetwork },
      work: { workingDirectory: "~/project", steps: [{ type: "run", command: "true" }] },
    });
    expect(first?.task.work.environment).toMatchObject({
      CI: "true",
      CIRCLE_BRANCH: "main",
      CIRCLE_JOB: "one",
      CIRCLE_NODE_INDEX: "0",
      CIRCLE_NODE_TOTAL: "2",
      CIRCLE_PROJECT_REPONAME: "project",
    });
    expect(second?.task.node.index).toBe(1);
  });

  test("answers at once when a task comes while the call is held", async () => {
    await using plane = await temporaryControlPlane();
    const waiting = [
      plane.agent.claim(plane.token, { waitMs: 30_000 }),
      plane.agent.claim(plane.token, { waitMs: 30_000 }),
    ];

    await plane.start(configOf(["build"], { parallelism: 2 }));

    const claimed = await Promise.all(waiting);
    expect(new Set(claimed.map((held) => held?.task.node.index))).toEqual(new Set([0, 1]));
  });

  test("answers nothing when no task comes in time", async () => {
    await using plane = await temporaryControlPlane();

    expect(await plane.agent.claim(plane.token, { waitMs: 5 })).toBeUndefined();
  });

  test("passes a task on when the agent that waited has hung up", async () => {
    await using plane = await temporaryControlPlane();
    const hangUp = new AbortController();
    const json = { name: "gone", wait_ms: 30_000 };
    const gone = plane.agent.call("POST", agentApi.claim, { token: plane.token, json, signal: hangUp.signal });
    const other = plane.agent.claim(plane.token, { name: "here", waitMs: 30_000 });
    hangUp.abort();
    await expect(gone).rejects.toThrow("aborted");

    await plane.start(configOf(["build"]));

    expect((await other)?.task.job.name).toBe("build");
  });

  test("gives one task to exactly one of many agents", async () => {
    await using plane = await temporaryControlPlane();
    const agents = Array.from({ length: 100 }, (_unused, index) =>
      plane.agent.claim(plane.token, { name: `a${index}`, waitMs: 200 }),
    );

    await plane.start(configOf(["build"]));

    expect((await Promise.all(agents)).filter((held) => held !== undefined)).toHaveLength(1);
  });

  test("answers a repeated claim with the same task", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["one", "two"]));

    const first = await plane.agent.claim(plane.token, { claimId: "c1" });
    const again = await plane.agent.claim(plane.token, { claimId: "c1" });

    expect(again?.task).toEqual(first?.task);
    expect((await again?.finish())?.status).toBe(200);
  });

  test("lets two control planes share a folder", async () => {
    await using plane = await temporaryControlPlane();
    await using other = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });
    const waiting = other.agent.claim(plane.token, { waitMs: 20_000 });

    const { id } = await plane.start(configOf(["build"]));

    await (await waiting)?.finish("success", "from afar");
    expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "success" });
  });

  test.each([
    ["no token", {}, 401, "unauthorized"],
    ["a foreign token", { token: "nope" }, 401, "unauthorized"],
  ])("refuses %s", async (_title, options, status, code) => {
    await using plane = await temporaryControlPlane();

    const answer = await plane.agent.call("POST", agentApi.claim, { ...options, json: { name: "a" } });

    expect(answer).toMatchObject({ status, json: { code } });
  });

  test.each([
    ["a bad name", { json: { name: "a/b" } }, "name: must contain only letters"],
    ["no JSON", { body: "{", type: "application/json" }, ""],
    ["no body", {}, "body: Invalid input"],
  ])("refuses %s", async (_title, options, words) => {
    await using plane = await temporaryControlPlane();

    const answer = await plane.agent.call("POST", agentApi.claim, { token: plane.token, ...options });

    expect(answer).toMatchObject({
      status: 400,
      json: { code: "bad-request", message: expect.stringContaining(words) },
    });
  });

  test("refuses a body that is too large", async () => {
    await using plane = await temporaryControlPlane();

    const answer = await plane.agent.call("POST", agentApi.claim, {
      token: plane.token,
      json: { name: "a".repeat(2 ** 21) },
    });

    expect(answer).toMatchObject({ status: 413, json: { code: "too-large" } });
  });

  test("takes a task token nowhere for a class token, nor the other way round", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);

    const claim = await plane.agent.call("POST", agentApi.claim, { token: held?.token ?? "", json: { name: "a" } });
    const beat = await plane.agent.call("POST", agentApi.heartbeat, { token: plane.token, json: {} });

    expect([claim.status, beat.status]).toEqual([401, 401]);
  });
});

describe("a lease", () => {
  test("that runs out puts a task back whose steps had not begun, and refuses its old agent", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    await plane.start(configOf(["build"]));
    const lost = await plane.agent.claim(plane.token);
    clock.forward(31_000);
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

    clock.forward(31_000);

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
      clock.forward(20_000);
      await held?.call("POST", agentApi.heartbeat, { json: {} });
      const before = clock.pauses();
      await until(() => clock.pauses() > before + 4);
    }

    expect((await held?.finish())?.status).toBe(200);
  });

  test("is whole again when the control plane comes back", async () => {
    const clock = hastyClock();
    await using plane = await temporaryControlPlane({ clock });
    await plane.start(configOf(["build"]));
    const held = await plane.agent.claim(plane.token);
    await plane.controlPlane.close({ graceMs: 0 });
    clock.forward(3_600_000);

    await using back = await temporaryControlPlane({ clock, dataDirectory: `${plane.directory}/data` });

    const beat = await back.agent.call("POST", agentApi.heartbeat, { token: held?.token ?? "", json: {} });
    expect(beat).toMatchObject({ status: 200, json: { lease_ms: 30_000, cancel: null } });
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

describe("a pipeline", () => {
  test("goes through fan-out and fan-in", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(
      configOf(["a", { b: { requires: ["a"] } }, { c: { requires: ["a"] } }, { d: { requires: ["b", "c"] } }]),
    );
    const order: string[] = [];
    for (let index = 0; index < 4; index++) {
      const held = await plane.agent.claim(plane.token, { waitMs: 1_000 });
      order.push(held?.task.job.name ?? "");
      await held?.finish();
    }

    expect(order).toEqual(["a", "b", "c", "d"]);
    expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({
      a: "success",
      b: "success",
      c: "success",
      d: "success",
    });
  });

  test("waits for an approval", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf([{ hold: { type: "approval" } }, { build: { requires: ["hold"] } }]));
    const story = storyOf(plane.controlPlane, id);
    const waiting = plane.agent.claim(plane.token, { waitMs: 20_000 });
    let hold = "";
    for await (const event of plane.controlPlane.watch(id, { signal: AbortSignal.timeout(5_000), output: false }))
      if (event.type === "job" && event.status === "on_hold") {
        hold = event.id;
        break;
      }

    await plane.controlPlane.approve(hold, "me");
    await plane.controlPlane.approve(hold, "me");

    await (await waiting)?.finish();
    expect(jobEnds(await story)).toEqual({ hold: "success", build: "success" });
    await expect(plane.controlPlane.approve("x", "me")).rejects.toThrow("there is no job x");
  });

  test("fails what cannot run here with the reason, and goes on with the rest", async () => {
    await using plane = await temporaryControlPlane({
      route: (name) => (name === "none" ? undefined : { ...newRoute(name ?? testClass) }),
    });
    const config = configOf(["mac", "remote", "classless", "unregistered", "release"]);
    Object.assign(config.jobs, {
      mac: { macos: { xcode: "15" }, steps: [] },
      remote: { machine: true, steps: ["setup_remote_docker"] },
      classless: { machine: true, resource_class: "none", steps: [] },
      unregistered: { machine: true, resource_class: "a/b", steps: [] },
      release: { type: "release", plan_name: "p", steps: [] },
    });
    const { id } = await plane.start(config);

    const story = await storyOf(plane.controlPlane, id);

    const reasons = story.flatMap((event) =>
      event.type === "job" ? [`${event.status}: ${event.reason?.slice(0, 45)}`] : [],
    );
    expect(reasons).toEqual([
      "failed: this job is for macOS, which cannot run here.",
      "failed: setup_remote_docker cannot run here: tasks ge",
      'failed: there is no resource class "none" for machine',
      'failed: there is no resource class "a/b" here; create',
      "failed: jobs of the type release cannot run here: not",
    ]);
  });

  test("in which nothing runs ends at once", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf([{ a: { filters: { branches: { only: "other" } } } }]));

    const story = await storyOf(plane.controlPlane, id);

    expect(story.map((event) => event.type)).toEqual(["pipeline", "workflow", "pipeline-ended"]);
    expect(story[1]).toMatchObject({ status: "not_run", reason: "its filters leave no job in for branch main" });
  });

  test("keeps values of secrets out of what is not for the task", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]), {
      environment: { KEY: "hush-hush", NAME: "n" },
      secretNames: ["KEY", "OTHER"],
    });

    const held = await plane.agent.claim(plane.token);

    expect(held?.task.work.secrets).toEqual(["hush-hush"]);
    expect(held?.task.work.environment).toMatchObject({ KEY: "hush-hush", NAME: "n" });
  });
});

function newRoute(queue: string) {
  return {
    queue,
    ...ClassSettings.parse({}),
    limits: {
      memoryBytes: 1,
      cpus: 1,
      pids: 1,
      openFiles: 1,
      workspaceBytes: 1,
      workspaceMedium: "disk" as const,
      outputBytes: 1,
    },
    network: noNetwork,
    maxRunTimeMs: 1,
  };
}

test("a pipeline of a thousand jobs is made and begun", async () => {
  await using plane = await temporaryControlPlane();
  const names = Array.from({ length: 1000 }, (_unused, index) => `job-${index}`);

  const { id } = await plane.controlPlane.createPipeline(newPipeline(configOf(names)));

  expect((await plane.agent.claim(plane.token))?.task.pipeline.id).toBe(id);
});

describe("closing", () => {
  test("answers whoever waits for a task, and lets running calls finish", async () => {
    await using plane = await temporaryControlPlane();
    const waiting = plane.agent.claim(plane.token, { waitMs: 30_000 });
    await plane.agent.call("GET", "/live");

    await plane.controlPlane.close({ graceMs: 5_000 });

    expect(await waiting).toBeUndefined();
  });

  test("twice is fine", async () => {
    const plane = await temporaryControlPlane();

    await plane.controlPlane.close({ graceMs: 0 });
    await plane[Symbol.asyncDispose]();

    await expect(plane.agent.call("GET", "/live")).rejects.toThrow(/destroyed|ENOENT|ECONNREFUSED/);
  });
});

test("an agent that stops gets what was handed out to it already, and nothing else", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one", "two"]));
  const first = await plane.agent.claim(plane.token, { claimId: "a" });

  const repeated = await plane.agent.claim(plane.token, { claimId: "a", repeatOnly: true });
  const other = await plane.agent.claim(plane.token, { claimId: "b", repeatOnly: true });

  expect(repeated?.task).toEqual(first?.task);
  expect(other).toBeUndefined();
});
