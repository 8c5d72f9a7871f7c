import { afterEach, beforeEach, expect, test } from "vitest";
import { aPlan } from "../../test/fakes/containers.ts";
import type { FakeControlPlane } from "../../test/fakes/fake-control-plane.ts";
import { endOf, said } from "../../test/fakes/fake-task.ts";
import { untilKilled } from "../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../test/fakes/scripted-stage.ts";
import { aTask } from "../../test/fakes/tasks.ts";
import { createDummyEngine } from "../engine/dummy/index.ts";
import { EngineError } from "../engine/engine.ts";

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

test("never runs more tasks at once than there is room for", async () => {
  const tasks = Array.from({ length: 7 }, (_, at) => controlPlane.enqueue(aTask({ id: `task-${at}` })));
  let running = 0;
  let most = 0;
  let begun = 0;
  const renewed = () => tasks.filter(({ heartbeats }) => heartbeats > 0).length;

  const { agent } = stage.run(
    async (taskAgent) => {
      most = Math.max(most, ++running);
      const number = ++begun;
      await taskAgent.begin();
      // Long after another one would have been claimed.
      await controlPlane.until(() => renewed() >= number);
      await taskAgent.run("x");
      running--;
    },
    { options: { capacity: { tasks: 4, memoryBytes: 2 * 1024 ** 3, cpus: 8 } } },
  );
  await controlPlane.until(() => tasks.every((task) => endOf(task, "task") !== undefined));
  await agent.drain();

  expect(most).toBe(2);
});

test("tries again while the control plane is down, and loses no record", async () => {
  const task = controlPlane.enqueue(aTask());
  let failures = 0;
  controlPlane.fault = ({ path, response }) => {
    if (!path.endsWith("/records") || failures >= 4) return undefined;
    failures++;
    if (failures === 1) response.destroy();
    else if (failures === 2) response.writeHead(200, { "content-type": "text/html" }).end("<html>");
    else response.writeHead(503, { "retry-after": "0" }).end();
    return true;
  };

  const { agent } = stage.run(async (taskAgent) => {
    await taskAgent.begin();
    await taskAgent.run("all of it");
  });
  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(failures).toBe(4);
  expect(said(task, { step: 100 })).toBe("all of it");
});

test("gives back what has not begun and cancels what has when it is stopped", async () => {
  const running = controlPlane.enqueue(aTask({ id: "running" }));
  const { agent } = stage.run(
    async (taskAgent) => {
      await taskAgent.begin();
      taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
      await taskAgent.until(() => taskAgent.cancels.length > 0);
      await taskAgent.end("canceled");
    },
    { options: { capacity: { tasks: 4, memoryBytes: 1, cpus: 1 } } },
  );
  await controlPlane.until(() => running.records.some(({ lane }) => lane === "task"));
  const waiting = controlPlane.enqueue(aTask({ id: "waiting" }));
  await controlPlane.until(() => waiting.heartbeats > 0);

  await agent.stop("the host goes down");

  expect(waiting.unclaimed).toEqual(["the host goes down"]);
  expect(endOf(running, "task")).toMatchObject({ status: "canceled" });
});

test("removes what a dead agent of its name left, and leaves others alone", async () => {
  const engine = createDummyEngine();
  const plan = (agent: string, deadline: number) =>
    aPlan({
      name: `cofferdam-${agent}`,
      labels: {
        "dev.cofferdam.agent": agent,
        "dev.cofferdam.role": "task",
        "dev.cofferdam.task": "t",
        "dev.cofferdam.attempt": "1",
        "dev.cofferdam.deadline": String(deadline),
      },
    });
  const { signal } = new AbortController();
  await engine.create(plan("agent-1", Date.now() + 1e6), signal);
  await engine.create(plan("agent-2", Date.now() + 1e6), signal);
  await engine.create(plan("agent-3", Date.now() - 1e6), signal);

  const { agent } = stage.run(async () => {}, { options: { engine } });
  await agent.ready;
  await controlPlane.until(() => controlPlane.claims.length > 0);
  await agent.drain();

  const left = await engine.list({ "dev.cofferdam.role": "task" }, signal);
  expect(left.map(({ labels }) => labels["dev.cofferdam.agent"])).toEqual(["agent-2"]);
});

test("ends a task whose engine stays away, and ends itself when it is hurried", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent, engine } = stage.run(
    async (taskAgent, process) => {
      await taskAgent.begin();
      taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
      await untilKilled(process);
    },
    { options: { times: { drainMs: 50, hurriedCleanUpMs: 50, engineAwayMs: 100 } } },
  );
  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task"));

  engine.goAway();
  await controlPlane.ended(task, "launch");
  void agent.stop("the engine is gone");
  await agent.stop("now");

  expect(endOf(task, "launch")).toMatchObject({ status: "infrastructure_fail" });
  expect(stage.events.at(-1)).toMatchObject({ type: "removed" });
});

test("does not wait for a control plane that is gone when it is hurried", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = stage.run(
    async (taskAgent) => {
      await taskAgent.begin();
      await taskAgent.run("unheard");
    },
    { options: { times: { hurriedCleanUpMs: 50 } } },
  );
  controlPlane.fault = ({ path, response }) => {
    if (!path.endsWith("/records")) return undefined;
    response.writeHead(503).end();
    return true;
  };
  await controlPlane.until(() => task.heartbeats > 0);

  void agent.stop("polite");
  await agent.stop("now");

  expect(task.records).toEqual([]);
});

test("rejects `ready` and closes when there is no engine", async () => {
  const { agent } = stage.run(async () => {}, {
    engine: { fault: () => new EngineError("unreachable", "no engine at /nowhere") },
  });

  await expect(agent.ready).rejects.toMatchObject({ code: "unreachable" });
  await agent.closed;
  expect(controlPlane.claims).toEqual([]);
});
