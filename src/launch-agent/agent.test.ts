import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeControlPlane, type FakeTask } from "../../test/fakes/fake-control-plane.ts";
import { ScriptedTaskAgent } from "../../test/fakes/scripted-task-agent.ts";
import { aTask } from "../../test/fakes/tasks.ts";
import {
  createDummyEngine,
  type DummyEngine,
  type DummyEngineOptions,
  type DummyProcess,
} from "../engine/dummy/index.ts";
import { EngineError } from "../engine/engine.ts";
import { systemClock } from "../lib/clock.ts";
import { Secret } from "../lib/secret.ts";
import { type AgentEvent, type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "./index.ts";

const taskAgentImage = "cofferdam/task-agent";
const requiredLabels = ["agent", "task", "attempt", "class", "deadline", "role"].map((name) => `dev.cofferdam.${name}`);

let controlPlane: FakeControlPlane;
let url: string;
let agents: { agent: LaunchAgent; engine: DummyEngine }[];

beforeEach(async () => {
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  agents = [];
});

afterEach(async () => {
  for (const { agent, engine } of agents) {
    await agent.stop("the test is over");
    if (engine.callerErrors.length > 0) throw engine.callerErrors[0];
  }
  await controlPlane.close();
});

type Script = (taskAgent: ScriptedTaskAgent, process: DummyProcess) => Promise<number | void>;

function start(
  script: Script,
  changes: { engine?: Partial<DummyEngineOptions>; options?: Partial<LaunchAgentOptions> } = {},
): { agent: LaunchAgent; engine: DummyEngine; events: AgentEvent[] } {
  const events: AgentEvent[] = [];
  const engine = createDummyEngine({
    requiredLabels,
    program: async (process) => (await script(new ScriptedTaskAgent(process), process)) ?? 0,
    images: { [taskAgentImage]: { labels: { "dev.cofferdam.argv": '["/opt/cofferdam/node"]' } } },
    ...changes.engine,
  });
  const agent = startLaunchAgent({
    api: { baseUrl: url, token: new Secret(controlPlane.classToken) },
    engine,
    name: "agent-1",
    hostname: "host",
    version: "test",
    capacity: { tasks: 4, memoryBytes: 8 * 1024 ** 3, cpus: 8 },
    taskAgentImage,
    images: { pauseMs: 0 },
    clock: systemClock,
    newId: () => crypto.randomUUID(),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onEvent: (event) => events.push(event),
    ...changes.options,
  });
  agents.push({ agent, engine });
  return { agent, engine, events };
}

function endOf(task: FakeTask, lane: "launch" | "task") {
  return task.records.find((stored) => stored.lane === lane && stored.record.type === "task-ended")?.record;
}

function textOf(task: FakeTask, step: number): string {
  const pieces = task.records.filter(({ record }) => record.type === "output" && record.step === step);
  return Buffer.concat(pieces.map(({ body }) => body)).toString();
}

async function remaining(engine: DummyEngine): Promise<string[]> {
  const objects = await engine.list({ "dev.cofferdam.agent": "agent-1" }, new AbortController().signal);
  return objects.map((object) => object.id);
}

test("runs a task in a container of its own, and leaves nothing of it", async () => {
  const task = controlPlane.enqueue(aTask());

  const { agent, engine } = start(async (taskAgent) => {
    await taskAgent.begin();
    await taskAgent.run("hello\n");
  });
  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "success" });
  expect(endOf(task, "launch")).toBeUndefined();
  expect(textOf(task, 100)).toBe("hello\n");
  expect(textOf(task, 0)).toContain("Resource class ns/class: 1 GiB memory, 1 core");
  expect(await remaining(engine)).toEqual([]);
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

  start(async (taskAgent) => {
    handedOver.resolve(await taskAgent.begin());
    await taskAgent.run("");
  });

  await expect(handedOver.promise).resolves.toMatchObject({
    workingDirectory: "~/project",
    environment: { A: "image", B: "job" },
  });
});

test("never runs more tasks at once than there is room for", async () => {
  const tasks = Array.from({ length: 7 }, (_, at) => controlPlane.enqueue(aTask({ id: `task-${at}` })));
  let running = 0;
  let most = 0;

  const { agent } = start(
    async (taskAgent) => {
      most = Math.max(most, ++running);
      await taskAgent.begin();
      await taskAgent.run("x");
      running--;
    },
    { options: { capacity: { tasks: 4, memoryBytes: 2 * 1024 ** 3, cpus: 8 } } },
  );
  await controlPlane.until(() => tasks.every((task) => endOf(task, "task") !== undefined));
  await agent.drain();

  expect(most).toBe(2);
});

test("lets a cancelled task end by itself", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = start(async (taskAgent) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await taskAgent.until(() => taskAgent.cancels.length > 0);
    await taskAgent.end("canceled");
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.cancel(task, "by alice");
  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "canceled" });
  expect(endOf(task, "launch")).toBeUndefined();
});

test("kills a cancelled task that does not end", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent, engine } = start(
    async (taskAgent, process) => {
      await taskAgent.begin();
      taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
      await untilKilled(process);
    },
    { options: { times: { cancelSlackMs: 50 } } },
  );

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.cancel(task, "by alice");
  await controlPlane.until(() => endOf(task, "launch") !== undefined);
  await agent.drain();

  expect(endOf(task, "launch")).toMatchObject({ status: "canceled", message: expect.stringContaining("by alice") });
  expect(engine.calls).toContain("kill cofferdam-task-1-1-0");
});

test("says what is wrong with an image, as the config's fault", async () => {
  const images = ["dummy-missing", "dummy-denied", "dummy-other-machine"];
  const tasks = images.map((image) =>
    controlPlane.enqueue(aTask({ id: image, container: { executor: "docker", images: [{ image, environment: {} }] } })),
  );

  const { agent } = start(async () => {});
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
  const { agent } = start(
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

  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "success" });
  expect(task.unclaimed).toEqual([]);
});

test("gives a task back when the registry is down, and fails it when it was tried too often", async () => {
  const spec = { executor: "docker" as const, images: [{ image: "dummy-registry-down", environment: {} }] };
  const first = controlPlane.enqueue(aTask({ id: "first", container: spec }));
  const { agent } = start(async () => {});
  await controlPlane.until(() => first.unclaimed.length > 0);

  controlPlane.unclaimStatus = 409;
  const last = controlPlane.enqueue(aTask({ id: "last", container: spec }));
  await controlPlane.until(() => endOf(last, "launch") !== undefined);
  await agent.drain();

  expect(first.unclaimed[0]).toContain("registry");
  expect(endOf(first, "launch")).toBeUndefined();
  expect(endOf(last, "launch")).toMatchObject({ status: "infrastructure_fail" });
});

test("tells out of memory in words, as the job's failure", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = start(async (taskAgent, process) => {
    await taskAgent.begin();
    process.runOutOfMemory();
    return 137;
  });

  await controlPlane.until(() => endOf(task, "launch") !== undefined);
  await agent.drain();

  expect(endOf(task, "launch")).toMatchObject({
    status: "failed",
    message: expect.stringContaining("out of memory: the limit of the resource class is 1 GiB"),
  });
});

test("calls a container that somebody else killed infrastructure", async () => {
  const task = controlPlane.enqueue(aTask());
  const { engine } = start(async (taskAgent, process) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await untilKilled(process);
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task"));
  await engine.kill("cofferdam-task-1-1-0", new AbortController().signal);
  await controlPlane.until(() => endOf(task, "launch") !== undefined);

  expect(endOf(task, "launch")).toMatchObject({ status: "infrastructure_fail" });
});

test("ends a task whose container breaks the protocol, and no other", async () => {
  const bad = controlPlane.enqueue(aTask({ id: "bad" }));
  const good = controlPlane.enqueue(aTask({ id: "good" }));
  const { agent } = start(async (taskAgent, process) => {
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
  const { agent, engine, events } = start(async (taskAgent, process) => {
    await taskAgent.begin();
    taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
    await untilKilled(process);
  });

  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task") && task.heartbeats > 0);
  controlPlane.fence(task);
  await agent.drain();

  expect(events).toContainEqual(expect.objectContaining({ type: "ended", taskId: "task-1", end: "unheard" }));
  expect(await engine.inspect("cofferdam-task-1-1-0", new AbortController().signal)).toBeUndefined();
  expect(endOf(task, "launch")).toBeUndefined();
});

test("gives a task back when its container does not come up in time", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = start(
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

test("starts services in the network of the steps' container before the work is handed over", async () => {
  const images = [
    { image: "dummy", environment: {} },
    { image: "dummy-user", name: "db", environment: { DUMMY: "1" } },
  ];
  const task = controlPlane.enqueue(aTask({ container: { executor: "docker", images } }));
  const { agent, engine } = start(async (taskAgent, process) => {
    if (process.plan.network.mode === "join") {
      process.stdout.write("ready to accept connections\n");
      return await untilKilled(process);
    }
    await taskAgent.begin();
    await controlPlane.until(() => textOf(task, 1) !== "");
    await taskAgent.run("ok");
    return 0;
  });

  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(textOf(task, 1)).toBe("ready to accept connections\n");
  expect(engine.calls.indexOf("start cofferdam-task-1-1-1")).toBeGreaterThan(
    engine.calls.indexOf("start cofferdam-task-1-1-0"),
  );
  expect(await remaining(engine)).toEqual([]);
});

test("stores and restores through the container's channel alone", async () => {
  const archive = Buffer.alloc(5_000_000, "cofferdam");
  const task = controlPlane.enqueue(aTask());
  const restored = Promise.withResolvers<{ key: string | undefined; bytes: Buffer }>();
  const { agent } = start(async (taskAgent) => {
    await taskAgent.begin();
    await upload(taskAgent, { op: "save-cache", key: "v1 ü" }, archive);
    expect((await taskAgent.next("response")).frame.result).toMatchObject({ stored: true });
    const id = taskAgent.request({ op: "restore-cache", keys: ["v1 ü"] });
    const { frame } = await taskAgent.next("response");
    restored.resolve({ key: frame.result.key, bytes: await taskAgent.download(id) });
    await taskAgent.end("success");
  });

  const { key, bytes } = await restored.promise;
  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(key).toBe("v1 ü");
  expect(bytes.equals(archive)).toBe(true);
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

  const { agent } = start(async (taskAgent) => {
    await taskAgent.begin();
    await taskAgent.run("all of it");
  });
  await controlPlane.until(() => endOf(task, "task") !== undefined);
  await agent.drain();

  expect(failures).toBe(4);
  expect(textOf(task, 100)).toBe("all of it");
});

test("gives back what has not begun and cancels what has when it is stopped", async () => {
  const running = controlPlane.enqueue(aTask({ id: "running" }));
  const { agent } = start(
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
  const plan = (agent: string, deadline: number) => ({
    name: `cofferdam-${agent}`,
    labels: {
      "dev.cofferdam.agent": agent,
      "dev.cofferdam.role": "task",
      "dev.cofferdam.task": "t",
      "dev.cofferdam.attempt": "1",
      "dev.cofferdam.deadline": String(deadline),
    },
    image: "dummy",
    environment: {},
    limits: { memoryBytes: 1, cpus: 1, pids: 1, openFiles: 1 },
    isolation: "standard" as const,
    network: { mode: "none" as const },
    shared: [],
  });
  const { signal } = new AbortController();
  await engine.create(plan("agent-1", Date.now() + 1e6), signal);
  await engine.create(plan("agent-2", Date.now() + 1e6), signal);
  await engine.create(plan("agent-3", Date.now() - 1e6), signal);

  const { agent } = start(async () => {}, { options: { engine } });
  await agent.ready;
  await controlPlane.until(() => controlPlane.claims.length > 0);
  await agent.drain();

  const left = await engine.list({ "dev.cofferdam.role": "task" }, signal);
  expect(left.map(({ labels }) => labels["dev.cofferdam.agent"])).toEqual(["agent-2"]);
});

test("ends a task whose engine stays away, and ends itself when it is hurried", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent, engine, events } = start(
    async (taskAgent, process) => {
      await taskAgent.begin();
      taskAgent.record({ type: "step-started", step: 100, name: "sleep", kind: "run", atMs: 1 });
      await untilKilled(process);
    },
    { options: { times: { drainMs: 50, hurriedCleanUpMs: 50, engineAwayMs: 100 } } },
  );
  await controlPlane.until(() => task.records.some(({ lane }) => lane === "task"));

  engine.goAway();
  await controlPlane.until(() => endOf(task, "launch") !== undefined);
  void agent.stop("the engine is gone");
  await agent.stop("now");

  expect(endOf(task, "launch")).toMatchObject({ status: "infrastructure_fail" });
  expect(events.at(-1)).toMatchObject({ type: "removed" });
});

test("does not wait for a control plane that is gone when it is hurried", async () => {
  const task = controlPlane.enqueue(aTask());
  const { agent } = start(
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
  const { agent } = start(async () => {}, {
    engine: { fault: () => new EngineError("unreachable", "no engine at /nowhere") },
  });

  await expect(agent.ready).rejects.toMatchObject({ code: "unreachable" });
  await agent.closed;
  expect(controlPlane.claims).toEqual([]);
});

async function untilKilled(process: DummyProcess): Promise<number> {
  await new Promise((resolve) => process.killed.addEventListener("abort", resolve, { once: true }));
  return 137;
}

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
