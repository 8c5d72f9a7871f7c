import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane } from "../../test/fakes/fake-control-plane.ts";
import { endOf, said } from "../../test/fakes/fake-task.ts";
import { ownedBy } from "../../test/fakes/owned.ts";
import { untilKilled } from "../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../test/fakes/scripted-stage.ts";
import type { ScriptedTaskAgent } from "../../test/fakes/scripted-task-agent.ts";
import { aTask } from "../../test/fakes/tasks.ts";

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

test("runs a task in a container of its own, and leaves nothing of it", async () => {
  const task = controlPlane.enqueue(aTask());

  const { agent, engine } = stage.run(async (taskAgent) => {
    await taskAgent.begin();
    await taskAgent.run("hello\n");
  });
  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "success" });
  expect(endOf(task, "launch")).toBeUndefined();
  expect(said(task, { step: 100 })).toBe("hello\n");
  expect(said(task, { step: 0 })).toContain("Resource class ns/class: 1 GiB memory, 1 core");
  expect(await ownedBy(engine)).toEqual([]);
  expect(engine.calls.filter((call) => call.includes("cofferdam-task-1-1-0"))).toEqual(
    ["create", "attach", "start", "wait", "remove"].map((call) => `${call} cofferdam-task-1-1-0`),
  );
});

test("hands the work over with the environment of its image", async () => {
  controlPlane.enqueue(
    aTask({
      container: { executor: "docker", images: [{ image: "dummy-user", environment: { A: "image", B: "image" } }] },
      work: { environment: { B: "job" } },
    }),
  );
  const handedOver = Promise.withResolvers<unknown>();

  stage.run(async (taskAgent) => {
    handedOver.resolve(await taskAgent.begin());
    await taskAgent.run("");
  });

  await expect(handedOver.promise).resolves.toMatchObject({
    workingDirectory: "~/project",
    environment: { A: "image", B: "job" },
  });
});

test("starts services in the network of the steps' container before the work is handed over", async () => {
  const images = [
    { image: "dummy", environment: {} },
    { image: "dummy-user", name: "db", environment: { DUMMY: "1" } },
  ];
  const task = controlPlane.enqueue(aTask({ container: { executor: "docker", images } }));
  const { agent, engine } = stage.run(async (taskAgent, process) => {
    if (process.plan.network.mode === "join") {
      process.stdout.write("ready to accept connections\n");
      return await untilKilled(process);
    }
    await taskAgent.begin();
    await controlPlane.until(() => said(task, { step: 1 }) !== "");
    await taskAgent.run("ok");
    return 0;
  });

  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(said(task, { step: 1 })).toBe("ready to accept connections\n");
  expect(engine.calls.indexOf("start cofferdam-task-1-1-1")).toBeGreaterThan(
    engine.calls.indexOf("start cofferdam-task-1-1-0"),
  );
  expect(await ownedBy(engine)).toEqual([]);
});

test("stores and restores through the container's channel alone", async () => {
  const archive = Buffer.alloc(5_000_000, "cofferdam");
  const task = controlPlane.enqueue(aTask());
  const restored = Promise.withResolvers<{ key: string | undefined; bytes: Buffer }>();
  const { agent } = stage.run(async (taskAgent) => {
    await taskAgent.begin();
    await upload(taskAgent, { op: "save-cache", key: "v1 ü" }, archive);
    expect((await taskAgent.next("response")).frame.result).toMatchObject({ stored: true });
    const id = taskAgent.request({ op: "restore-cache", keys: ["v1 ü"] });
    const { frame } = await taskAgent.next("response");
    restored.resolve({ key: frame.result.key, bytes: await taskAgent.download(id) });
    await taskAgent.end("success");
  });

  const { key, bytes } = await restored.promise;
  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(key).toBe("v1 ü");
  expect(bytes.equals(archive)).toBe(true);
});

test("lets a cancelled task end by itself", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = stage.run(async (taskAgent) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await taskAgent.until(() => taskAgent.cancels.length > 0);
    await taskAgent.end("canceled");
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.cancel(task, "by alice");
  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "canceled" });
  expect(endOf(task, "launch")).toBeUndefined();
});

test("kills a cancelled task that does not end", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent, engine } = stage.run(
    async (taskAgent, process) => {
      await taskAgent.begin();
      taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
      await untilKilled(process);
    },
    { options: { times: { cancelSlackMs: 50 } } },
  );

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.cancel(task, "by alice");
  await controlPlane.ended(task, "launch");
  await agent.drain();

  expect(endOf(task, "launch")).toMatchObject({ status: "canceled", message: expect.stringContaining("by alice") });
  expect(engine.calls).toContain("kill cofferdam-task-1-1-0");
});

async function upload(taskAgent: ScriptedTaskAgent, request: object, bytes: Buffer): Promise<void> {
  const id = taskAgent.request(request);
  let credit = 1024 * 1024;
  for (let from = 0; from < bytes.byteLength; ) {
    if (credit === 0) credit += (await taskAgent.next("credit")).frame.bytes;
    const piece = bytes.subarray(from, from + Math.min(credit, 256 * 1024));
    taskAgent.send({ type: "data", id }, piece);
    credit -= piece.byteLength;
    from += piece.byteLength;
  }
  taskAgent.send({ type: "end", id });
}
