import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { aPlan } from "../../../test/fakes/containers.ts";
import { FakeControlPlane, type FakeTask } from "../../../test/fakes/fake-control-plane.ts";
import { endOf, said } from "../../../test/fakes/fake-task.ts";
import { anAgent } from "../../../test/fakes/launch-agents.ts";
import { type Death, MortalProcess } from "../../../test/fakes/mortal-process.ts";
import { ownedBy } from "../../../test/fakes/owned.ts";
import { allThatIsSaid, talk } from "../../../test/fakes/talking-task.ts";
import { aTask } from "../../../test/fakes/tasks.ts";
import { createDummyEngine, type DummyEngine } from "../../engine/dummy/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import { syncMarker } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { type AgentEvent, type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "../index.ts";
import { ownerLabels, scopeOf } from "../plan/owner.ts";

const never = new AbortController().signal;

let controlPlane: FakeControlPlane;
let url: string;
let engine: DummyEngine;
let processes: MortalProcess[];
let last: LaunchAgent | undefined;
let events: AgentEvent[];
/** Names of the containers in which steps began. */
let begun: string[];

beforeEach(async () => {
  controlPlane = new FakeControlPlane();
  url = await controlPlane.listen();
  processes = [];
  events = [];
  begun = [];
  engine = createDummyEngine({
    program: async (process) => await talk(process, begun),
    images: {
      [anAgent.taskAgentImage]: { labels: { "dev.cofferdam.argv": '["/node"]' } },
      liar: { labels: { "dev.cofferdam.sandbox": "bystander" } },
    },
  });
});

afterEach(async () => {
  await last?.stop("the test is over");
  last = undefined;
  for (const process of processes) await process[Symbol.asyncDispose]();
  await controlPlane.close();
  if (engine.callerErrors.length > 0) throw engine.callerErrors[0];
});

async function start(options: Partial<LaunchAgentOptions> = {}, death?: Death): Promise<MortalProcess> {
  const process = new MortalProcess(engine, death);
  processes.push(process);
  last = startLaunchAgent({
    ...anAgent,
    api: { baseUrl: await process.url(url), token: new Secret(controlPlane.classToken) },
    engine: process.engine,
    session: `session-${processes.length}`,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return process;
}

async function succeeds(task: FakeTask): Promise<void> {
  expect(await controlPlane.ended(task)).toMatchObject({ status: "success" });
}

async function nothingLeft(): Promise<void> {
  await expect.poll(async () => await ownedBy(engine), { timeout: 10_000 }).toEqual([]);
}

const withService = {
  executor: "docker" as const,
  images: ["dummy", "dummy-user"].map((image) => ({ image, environment: {} })),
};

/** What has been said, in the middle of it. */
async function inTheMiddle(task: FakeTask): Promise<void> {
  await controlPlane.until(() => said(task, { step: 100 }).includes("line 5"));
}

test("a task whose agent was killed goes on, and none of its output is lost or said twice", async () => {
  const task = controlPlane.enqueue(aTask());
  const first = await start();
  await inTheMiddle(task);

  first.die();
  await start();

  await succeeds(task);
  expect(said(task, { step: 100 })).toBe(allThatIsSaid);
  expect(begun).toHaveLength(1);
  await nothingLeft();
});

test("a task in a container that waited in the pool is found by asking the container", async () => {
  const pool = { perShape: 1, total: 1, pauseMs: 1 };
  const one = controlPlane.enqueue(aTask({ id: "one" }));
  const first = await start({ pool });
  await succeeds(one);
  await expect
    .poll(async () => (await engine.list({ "dev.cofferdam.role": "pool" }, AbortSignal.timeout(5_000))).length)
    .toBe(2);
  const two = controlPlane.enqueue(aTask({ id: "two" }));
  await inTheMiddle(two);
  expect(events.some((event) => event.type === "hit" && event.taskId === "two")).toBe(true);

  first.die();
  await start();

  await succeeds(two);
  expect(said(two, { step: 100 })).toBe(allThatIsSaid);
  expect(begun).toHaveLength(2);
  await nothingLeft();
});

test("services of an adopted task go with it, and what they have said stays", async () => {
  const task = controlPlane.enqueue(aTask({ container: withService }));
  const first = await start();
  const about = () =>
    task.records.filter(({ lane, record }) => lane === "launch" && "step" in record && record.step === 1);
  await expect.poll(() => about().map(({ record }) => record.type)).toEqual(["step-started", "output"]);

  first.die();
  await start();

  await succeeds(task);
  expect(about().filter(({ record }) => record.type === "step-started")).toHaveLength(1);
  await nothingLeft();
});

test("a process that was only cut off leaves the container alone in which another one goes on with its task", async () => {
  const task = controlPlane.enqueue(aTask());
  await start();
  await inTheMiddle(task);
  const containers = await ownedBy(engine);

  controlPlane.staleTokens.add(task.token);
  await expect.poll(() => events.some(({ type }) => type === "ended")).toBe(true);
  await last?.drain();

  expect(await ownedBy(engine)).toEqual(containers);
  expect(endOf(task)).toBeUndefined();
});

test("a container whose task is over goes at once", async () => {
  const task = controlPlane.enqueue(aTask());
  const first = await start();
  await inTheMiddle(task);
  first.die();
  controlPlane.fence(task);

  await start();

  await nothingLeft();
  expect(endOf(task)).toBeUndefined();
});

test("a container that says it has another one's task is not believed", async () => {
  const task = controlPlane.enqueue(aTask());
  const first = await start();
  await inTheMiddle(task);
  first.die();
  const labels = {
    ...ownerLabels({ name: "agent-1", classes: [{ token: new Secret(controlPlane.classToken) }] }),
    "dev.cofferdam.role": "pool",
    "dev.cofferdam.member": "liar",
    "dev.cofferdam.deadline": String(Date.now() + 1e6),
  };
  const id = await engine.create(aPlan({ name: "liar", labels }), never);
  const { stdin, stdout } = await engine.attach(id, never);
  await engine.start(id, never);
  stdout.resume();
  stdin.write(syncMarker(Buffer.alloc(16)));
  stdin.write(encodeFrame({ type: "task", task: task.task.id, attempt: 1, proof: "forged" }, Buffer.from("{}")));
  await expect.poll(() => begun).toContain("liar");

  await start();

  await succeeds(task);
  expect(said(task, { step: 100 })).toBe(allThatIsSaid);
  await nothingLeft();
});

test("an image whose labels name somebody's container for the task's sandbox does not have it removed", async () => {
  await engine.create(aPlan({ name: "bystander", labels: { owner: "somebody" } }), never);
  const images = [{ image: "liar", environment: {} }];
  const task = controlPlane.enqueue(aTask({ container: { executor: "docker", images } }));
  const first = await start();
  await inTheMiddle(task);

  first.die();
  await start();

  await succeeds(task);
  await nothingLeft();
  expect(await engine.inspect("bystander", never)).toBeDefined();
});

describe("another agent of the same name on the same engine", () => {
  const here = "ns/class";
  const there = "ns/other";
  const served = (...names: string[]) => names.map((name) => ({ name, token: new Secret(name) }));
  const changes = ["attach", "kill", "remove", "removeObject"];

  beforeEach(() => {
    for (const name of [here, there]) controlPlane.classes.set(name, name);
  });

  test.each([
    ["of another class", served(there), undefined],
    ["of this class, too, in which it is refused the name", served(here, there), undefined],
    ["of another control plane", served(here), scopeOf("https://other.example")],
  ])("%s leaves its task alone", async (_which, classes, scope = scopeOf("https://one.example")) => {
    const task = controlPlane.enqueue(aTask({ container: withService }), here);
    await start({ scope: scopeOf("https://one.example"), classes: served(here) });
    await inTheMiddle(task);
    if (classes.length > 1) controlPlane.holders.set(here, "session-1");

    const second = await start({ scope, classes });
    // The last that it looks for.
    await expect.poll(() => second.calls.map(({ about }) => about)).toContainEqual({ "dev.cofferdam.role": "helper" });
    await last?.drain();

    await succeeds(task);
    expect(said(task, { step: 100 })).toBe(allThatIsSaid);
    expect(second.calls.filter(({ name }) => changes.includes(name))).toEqual([]);
  });
});

test("a process that lost its name, and has it back, goes on with what the process between was running", async () => {
  await start({ claimWaitMs: 10 });
  await controlPlane.until(() => controlPlane.claims.length > 0);
  controlPlane.holders.set("ns/class", "session-2");
  await controlPlane.until(() => controlPlane.calls.filter((call) => call.endsWith("/session")).length > 1);
  const task = controlPlane.enqueue(aTask());
  const first = last;
  const between = await start();
  await inTheMiddle(task);

  between.die();
  last = first;
  controlPlane.holders.set("ns/class", "session-1");

  await succeeds(task);
  expect(task.session).toBe("session-1");
  expect(said(task, { step: 100 })).toBe(allThatIsSaid);
  expect(begun).toHaveLength(1);
  await nothingLeft();
});

test("what an agent of several classes left goes though the token of one of them is refused", async () => {
  const classes = ["ns/class", "ns/gone"].map((name) => ({ name, token: new Secret(name) }));
  controlPlane.classes.set("ns/class", "ns/class");
  const labels = { ...ownerLabels({ name: "agent-1", classes }), "dev.cofferdam.role": "sandbox" };
  await engine.create(aPlan({ name: "sandbox", labels }), never);

  await start({ classes });

  await expect.poll(async () => await engine.inspect("sandbox", never), { timeout: 10_000 }).toBeUndefined();
});

/** A second container that says to be the same attempt, never started. Gives the first one's name. */
async function addTwin(task: FakeTask): Promise<string> {
  const [container] = await engine.list({ "dev.cofferdam.task": task.task.id }, never);
  const { name = "" } = (await engine.inspect(container?.id ?? "", never)) ?? {};
  await engine.create(aPlan({ name: `${name}.twin`, labels: container?.labels ?? {} }), never);
  return name;
}

test("of two containers of one attempt the one is taken up that was started, and the other goes", async () => {
  const task = controlPlane.enqueue(aTask());
  const first = await start();
  await inTheMiddle(task);
  first.die();
  await addTwin(task);

  await start();

  await succeeds(task);
  expect(said(task, { step: 100 })).toBe(allThatIsSaid);
  expect(begun).toHaveLength(1);
  await nothingLeft();
});

test("of two containers of one attempt that were never started one is begun, and the other goes", async () => {
  const task = controlPlane.enqueue(aTask());
  const first = await start({}, { atCall: "create", when: "after" });
  await first.died;
  const name = await addTwin(task);

  await start();

  await succeeds(task);
  expect(begun).toEqual([name]);
  await nothingLeft();
});

describe("an engine that comes back", () => {
  test("finds the task going on, with all of its output", async () => {
    const task = controlPlane.enqueue(aTask());
    await start();
    await inTheMiddle(task);

    engine.goAway();
    await systemClock.sleep(30);
    engine.comeBack();

    await succeeds(task);
    expect(said(task, { step: 100 })).toBe(allThatIsSaid);
    expect(begun).toHaveLength(1);
  });

  test("starts the tasks that came meanwhile, at their first attempt", async () => {
    await start({ times: { engineRestMs: 5 } });
    await controlPlane.until(() => controlPlane.claims.length > 0);
    await last?.ready;
    engine.goAway();
    const task = controlPlane.enqueue(aTask());
    await controlPlane.until(() => task.records.length > 0);
    engine.comeBack();

    await succeeds(task);
    expect(task.unclaimed).toEqual([]);
  });
});

/** Engine calls of one task with a service, from the agent's start to its end, and a few more. */
const calls = Array.from({ length: 32 }, (_, at) => at + 1);

describe.each(["before", "after"] as const)("an agent that is killed %s its engine call", (when) => {
  test.each(calls)("number %i leaves a task that ends once, and nothing else", async (atCall) => {
    let task = controlPlane.enqueue(aTask({ container: withService }));
    const first = await start({}, { atCall, when });
    await Promise.race([first.died, controlPlane.until(() => endOf(task) !== undefined)]);
    first.die();

    await start({ times: { greetMs: 500 } });
    await controlPlane.until(() => controlPlane.sessions.get("agent-1") === "session-2");
    // Whoever was claimed and has no container is not found by anybody: its lease runs out.
    await controlPlane.until(() => endOf(task) !== undefined || controlPlane.claims.length > 1);
    await settled(task);
    if (endOf(task) === undefined && task.session === "session-1") task = controlPlane.expireLease(task);

    await succeeds(task);
    expect(said(task, { step: 100 })).toBe(allThatIsSaid);
    expect(begun).toHaveLength(1);
    await nothingLeft();
  });
});

/** When the second process has looked at what the first one left. */
async function settled(task: FakeTask): Promise<void> {
  await expect
    .poll(async () => endOf(task) !== undefined || task.session === "session-2" || (await ownedBy(engine)).length === 0)
    .toBe(true);
}
