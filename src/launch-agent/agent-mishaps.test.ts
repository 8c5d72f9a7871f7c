import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane } from "../../test/fakes/fake-control-plane.ts";
import { endOf } from "../../test/fakes/fake-task.ts";
import { untilKilled } from "../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../test/fakes/scripted-stage.ts";
import { aTask } from "../../test/fakes/tasks.ts";
import { EngineError } from "../engine/engine.ts";

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

test("says what is wrong with an image, as the config's fault", async () => {
  const images = ["dummy-missing", "dummy-denied", "dummy-other-machine"];
  const tasks = images.map((image) =>
    controlPlane.enqueue(aTask({ id: image, container: { executor: "docker", images: [{ image, environment: {} }] } })),
  );

  const { agent } = stage.run(async () => {});
  await controlPlane.until(() => tasks.every((task) => endOf(task, "launch") !== undefined));
  await agent.drain();

  for (const task of tasks) {
    expect(endOf(task, "launch")).toMatchObject({ status: "failed", message: expect.stringContaining(task.task.id) });
    expect(task.unclaimed).toEqual([]);
  }
});

test("looks for an image once more that was removed in the last moment", async () => {
  const task = controlPlane.enqueue(aTask());
  let creates = 0;
  const { agent } = stage.run(
    async (taskAgent) => {
      await taskAgent.begin();
      await taskAgent.run("there again");
    },
    {
      engine: {
        fault: (call) =>
          call === "create" && ++creates === 1 ? new EngineError("not-found", "there is no such image") : undefined,
      },
    },
  );

  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "success" });
  expect(task.unclaimed).toEqual([]);
});

test("gives a task back when the registry is down, and fails it when it was tried too often", async () => {
  const spec = { executor: "docker" as const, images: [{ image: "dummy-registry-down", environment: {} }] };
  const first = controlPlane.enqueue(aTask({ id: "first", container: spec }));
  const { agent } = stage.run(async () => {});
  await controlPlane.until(() => first.unclaimed.length > 0);

  controlPlane.unclaimStatus = 409;
  const last = controlPlane.enqueue(aTask({ id: "last", container: spec }));
  await controlPlane.ended(last, "launch");
  await agent.drain();

  expect(first.unclaimed[0]).toContain("registry");
  expect(endOf(first, "launch")).toBeUndefined();
  expect(endOf(last, "launch")).toMatchObject({ status: "infrastructure_fail" });
});

test("tells out of memory in words, as the job's failure", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = stage.run(async (taskAgent, process) => {
    await taskAgent.begin();
    process.runOutOfMemory();
    return 137;
  });

  await controlPlane.ended(task, "launch");
  await agent.drain();

  expect(endOf(task, "launch")).toMatchObject({
    status: "failed",
    message: expect.stringContaining("out of memory: the limit of the resource class is 1 GiB"),
  });
});

test("calls a container that somebody else killed infrastructure", async () => {
  const task = controlPlane.enqueue(aTask());
  const { engine } = stage.run(async (taskAgent, process) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await untilKilled(process);
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task"));
  await engine.kill("cofferdam-task-1-1-0", new AbortController().signal);
  await controlPlane.ended(task, "launch");

  expect(endOf(task, "launch")).toMatchObject({ status: "infrastructure_fail" });
});

test("ends a task whose container breaks the protocol, and no other", async () => {
  const bad = controlPlane.enqueue(aTask({ id: "bad" }));
  const good = controlPlane.enqueue(aTask({ id: "good" }));
  const { agent } = stage.run(async (taskAgent, process) => {
    await taskAgent.begin();
    if (process.plan.name.includes("bad")) {
      taskAgent.raw(Buffer.alloc(64, 0xff));
      await untilKilled(process);
    }
    await taskAgent.run("fine");
  });

  await controlPlane.until(() => endOf(bad, "launch") !== undefined && endOf(good, "task") !== undefined);
  await agent.drain();

  expect(endOf(bad, "launch")).toMatchObject({
    status: "infrastructure_fail",
    message: expect.stringContaining("task channel: "),
  });
  expect(endOf(good, "task")).toMatchObject({ status: "success" });
});

test("kills a task whose attempt is stale, and says nothing more", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent, engine } = stage.run(async (taskAgent, process) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await untilKilled(process);
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.fence(task);
  await agent.drain();

  expect(stage.events).toContainEqual(expect.objectContaining({ type: "ended", taskId: "task-1", end: "unheard" }));
  expect(await engine.inspect("cofferdam-task-1-1-0", new AbortController().signal)).toBeUndefined();
  expect(endOf(task, "launch")).toBeUndefined();
});

test("goes on with a task while a proxy answers in the control plane's place", async () => {
  const task = controlPlane.enqueue(aTask());
  const pages = ["404 page not found", "<h1>Sign in</h1>"];
  const answered = Promise.withResolvers<void>();
  let asked = 0;
  const { agent } = stage.run(async (taskAgent) => {
    await taskAgent.begin();
    controlPlane.fault = ({ response }) => {
      response.writeHead(asked % 2 === 0 ? 404 : 401, { "content-type": "text/html" }).end(pages[asked % 2]);
      if (++asked === 8) answered.resolve();
      return true;
    };
    await taskAgent.run("said\n");
  });
  await answered.promise;
  controlPlane.fault = undefined;
  await controlPlane.until(() => endOf(task) !== undefined);
  await agent.drain();

  expect(endOf(task)).toMatchObject({ status: "success" });
  expect(task.unclaimed).toEqual([]);
});

test("gives a task back when its container does not come up in time", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = stage.run(
    async (_taskAgent, process) => {
      process.stderr.write("cannot find\u001b[31m libc\n");
      await untilKilled(process);
    },
    { options: { times: { acceptMs: 50 } } },
  );

  await controlPlane.until(() => task.unclaimed.length > 0);
  await agent.drain();

  expect(task.unclaimed[0]).toContain("It said: cannot find [31m libc");
});
