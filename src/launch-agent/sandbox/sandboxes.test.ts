import { afterEach, beforeEach, expect, test } from "vitest";
import { anAgent, quiet } from "../../../test/fakes/launch-agents.ts";
import { ManualClock } from "../../../test/fakes/manual-clock.ts";
import { FakeHost, isSandbox, playSandbox, sandboxImageLabels } from "../../../test/fakes/sandbox.ts";
import { until } from "../../../test/fakes/until.ts";
import { createDummyEngine, type DummyEngine } from "../../engine/dummy/index.ts";
import { EngineError } from "../../engine/engine.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import { Network } from "../../protocol/task.ts";
import { type LaidGround, layGround } from "../ground.ts";
import { LaunchLane } from "../relay/launch-lane.ts";
import { RecordRelay } from "../relay/records.ts";
import type { SandboxNeed } from "./need.ts";
import type { SandboxOptions } from "./options.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { tellSeen } from "./tell-seen.ts";

const never = new AbortController().signal;

let host: FakeHost;
let engine: DummyEngine;
let laid: LaidGround;
let clock: Clock;
/** What the sandboxes have in a file that tasks can write. */
let hosts: string;
let addresses: string[];

beforeEach(() => {
  host = new FakeHost();
  clock = systemClock;
  hosts = "127.0.0.1 localhost\n";
  addresses = ["198.51.100.7"];
});

afterEach(async () => {
  await laid.ground.sandboxes.close();
  const left = await engine.list({ "dev.cofferdam.role": "sandbox" }, never);
  if (left.length > 0) throw new Error(`left behind: ${left.map(({ id }) => id).join(" ")}`);
  if (engine.callerErrors.length > 0) throw engine.callerErrors[0];
});

async function open(options: Partial<SandboxOptions> = {}, fault?: (call: string) => EngineError | undefined) {
  engine = createDummyEngine({
    requiredLabels: ["agent", "scope", "classes", "role", "deadline"].map((name) => `dev.cofferdam.${name}`),
    images: { [anAgent.taskAgentImage]: { labels: sandboxImageLabels } },
    program: async (process) => (isSandbox(process) ? await playSandbox(process, () => hosts) : 0),
    helper: host.helper,
    ...(fault ? { fault } : {}),
  });
  return await openAgain(options);
}

/** Those of one more process of the agent, on the same engine. */
async function openAgain(options: Partial<SandboxOptions> = {}): Promise<Sandboxes> {
  laid = layGround(
    {
      ...anAgent,
      scope: "scope",
      classes: [{ name: "ns/class", token: new Secret("t") }],
      engine,
      clock,
      resolve: async () => addresses,
      sandboxes: { mode: "required", ready: 1, pauseMs: 0, ...options },
    },
    await engine.info(never),
  );
  return laid.ground.sandboxes;
}

function need(changes: Partial<SandboxNeed> = {}): SandboxNeed {
  return { network: Network.parse({}), localNames: [], tenant: "ns/class standard", reusable: true, ...changes };
}

async function take(sandboxes: Sandboxes, wanted: SandboxNeed = need()): Promise<Sandbox> {
  return await sandboxes.take(wanted, { untilMs: clock.now(), signal: never });
}

/** Gives it back, and waits until it has been looked at. */
async function settle(sandboxes: Sandboxes, sandbox: Sandbox, options?: { doubtful: boolean }): Promise<void> {
  sandboxes.giveBack(sandbox, options);
  await until(() => sandboxes.ready > 0 || !sandboxes.owns(sandbox.name));
}

test("a sandbox that looks as new is had again, by a task of the same tenant", async () => {
  const sandboxes = await open();
  const first = await take(sandboxes);
  await settle(sandboxes, first);

  const second = await take(sandboxes);

  expect(second.name).toBe(first.name);
});

test("nobody else gets it, and another need gets another", async () => {
  const sandboxes = await open({ ready: 4 });
  const first = await take(sandboxes);
  await settle(sandboxes, first);

  const others = [
    await take(sandboxes, need({ tenant: "ns/class strict" })),
    await take(sandboxes, need({ tenant: "ns/other standard" })),
    await take(sandboxes, need({ localNames: ["db"] })),
    await take(sandboxes, need({ network: Network.parse({ deny: [{ to: "10.0.0.0/8" }] }) })),
  ];

  expect(others.map(({ name }) => name)).not.toContain(first.name);
  expect(new Set(others.map(({ name }) => name)).size).toBe(4);
});

test("two tasks at once never have one", async () => {
  const sandboxes = await open({ ready: 4 });

  const taken = await Promise.all(Array.from({ length: 6 }, async () => await take(sandboxes)));

  expect(new Set(taken.map(({ id }) => id)).size).toBe(6);
});

test("one in which a task has left something is thrown away", async () => {
  const sandboxes = await open();
  const sandbox = await take(sandboxes);
  hosts += "203.0.113.1 registry.example.com\n";
  sandboxes.giveBack(sandbox);
  await until(() => !sandboxes.owns(sandbox.name));

  expect(await engine.inspect(sandbox.id, never)).toBeUndefined();
});

test("one that does not come to an end of saying how it looks is never used", async () => {
  const sandboxes = await open();
  hosts = "127.0.0.1 localhost\n".repeat(100_000);

  await expect(take(sandboxes)).rejects.toThrow(/more to say of itself than it can have/);
});

test("one is thrown away where something may still be in it, or where nobody may have it next", async () => {
  const sandboxes = await open();
  const doubtful = await take(sandboxes);
  await settle(sandboxes, doubtful, { doubtful: true });
  const unshared = await take(sandboxes, need({ reusable: false }));
  await settle(sandboxes, unshared);

  expect(await engine.inspect(doubtful.id, never)).toBeUndefined();
  expect(await engine.inspect(unshared.id, never)).toBeUndefined();
});

test("one whose helper failed, or whose rules are not all there, is never used", async () => {
  const sandboxes = await open();
  for (const broken of ["fails", "loses-rules"] as const) {
    host.broken = broken;
    await expect(take(sandboxes)).rejects.toThrow(/no sandbox can be made: the rules of a sandbox could not be set/);
  }

  expect(await engine.list({ "dev.cofferdam.role": "sandbox" }, never)).toEqual([]);
});

test("a rule that is none is said, and nothing is made", async () => {
  const sandboxes = await open();
  const network = Network.parse({ allow: [{ to: "*.example.com" }] });

  await expect(take(sandboxes, need({ network }))).rejects.toThrow(/"\*\.example\.com" is no address/);

  expect(engine.calls.filter((call) => call.startsWith("create"))).toEqual([]);
});

test("what is kept ready was made before it is needed", async () => {
  const sandboxes = await open();
  const stop = new AbortController();
  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => Number.POSITIVE_INFINITY });
  const first = await take(sandboxes);
  await until(() => sandboxes.ready === 1);
  const calls = engine.calls.length;

  const second = await take(sandboxes);

  expect(second.name).not.toBe(first.name);
  expect(engine.calls.slice(calls)).toEqual([]);
  stop.abort();
  await kept;
});

test("nothing is kept ready where the tasks leave no memory", async () => {
  const sandboxes = await open();
  const stop = new AbortController();
  const sandbox = await take(sandboxes);
  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => 0 });
  sandboxes.giveBack(sandbox);
  await until(() => !sandboxes.owns(sandbox.name));

  expect(sandboxes.ready).toBe(0);
  stop.abort();
  await kept;
});

test("a task whose sandbox is being made takes one that is given back sooner", async () => {
  const sandboxes = await open();
  const first = await take(sandboxes);
  // Nothing can be made any more.
  const release = Promise.withResolvers<void>();
  void laid.ground.gate.run(async () => await release.promise);
  void laid.ground.gate.run(async () => await release.promise);
  const waiting = take(sandboxes);
  sandboxes.giveBack(first);

  expect((await waiting).name).toBe(first.name);
  release.resolve();
});

test("rules follow the names that they are made of, also where a task is at work", async () => {
  const sandboxes = await open({ checkMs: 0 });
  const network = Network.parse({ allow: [{ to: "registry.example.com", ports: ["443"] }] });
  const stop = new AbortController();
  const sandbox = await take(sandboxes, need({ network }));
  expect(host.scripts.at(-1)).toContain("ip daddr { 198.51.100.7 } tcp dport { 443 } accept");
  host.says += "local 192.0.2.99 dev eth1 scope host\n";

  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => 0 });
  await until(() => host.scripts.at(-1)?.includes("192.0.2.99") === true);

  expect(sandboxes.owns(sandbox.name)).toBe(true);
  stop.abort();
  await kept;
});

const registryOnly = need({ network: Network.parse({ allow: [{ to: "registry.example.com", ports: ["443"] }] }) });

test("the rules of a sandbox that an earlier process left with its task are kept, and nobody gets it after that", async () => {
  const left = await take(await open(), registryOnly);
  addresses = ["198.51.100.8"];
  const sandboxes = await openAgain({ checkMs: 0 });
  const stop = new AbortController();
  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => Number.POSITIVE_INFINITY });

  const adopted = await sandboxes.adopt(left.name, registryOnly);
  await until(() => host.scripts.at(-1)?.includes("198.51.100.8") === true);
  stop.abort();
  await kept;
  sandboxes.giveBack(adopted);
  await until(() => !sandboxes.owns(left.name));

  expect(await engine.inspect(left.name, never)).toBeUndefined();
});

test("what an earlier process knew of a name stays in force as long as nothing is known of it", async () => {
  const left = await take(await open(), registryOnly);
  const before = host.scripts.length;
  addresses = [];
  const sandboxes = await openAgain({ checkMs: 0 });
  const stop = new AbortController();
  const adopted = await sandboxes.adopt(left.name, registryOnly);

  const looked = engine.calls.length;
  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => 0 });
  // The host is looked at again and again, and the sandbox is left alone.
  await until(() => engine.calls.slice(looked).filter((call) => call.startsWith("runHelper")).length > 3);
  stop.abort();
  await kept;

  expect(host.scripts).toHaveLength(before);
  sandboxes.giveBack(adopted);
});

/** Lets the time pass that the helper of `host.stuck` has, once it runs. */
async function outwait(manual: ManualClock): Promise<void> {
  await until(() => host.stuck === undefined);
  manual.pass(30_000);
}

/** For those who find nothing to say. */
function unheardLane(): LaunchLane {
  const nobody = async () => await Promise.reject(new Error("nobody listens"));
  return new LaunchLane(new RecordRelay({ post: nobody, onAck: () => {}, onFailure: () => {}, gather: nobody }), clock);
}

async function helpers(): Promise<string[]> {
  const all = await engine.list({ "dev.cofferdam.role": "sandbox" }, never);
  return all.map(({ id }) => id).filter((id) => id.startsWith("cofferdam-helper-"));
}

test("a helper that does not end holds nobody's report, and is removed", async () => {
  const manual = new ManualClock("2026-01-01T00:00:00Z");
  clock = manual;
  const sandboxes = await open();
  const sandbox = await take(sandboxes, registryOnly);
  host.stuck = sandbox.id;
  const warnings: string[] = [];

  const log = { ...quiet, warn: (_facts: object, words: string) => warnings.push(words) };
  const told = tellSeen(sandbox, { lane: unheardLane(), log });
  await until(async () => (await helpers()).length > 0);
  const [name = ""] = await helpers();
  expect(sandboxes.owns(name)).toBe(true);
  await outwait(manual);
  await told;

  expect(warnings).toEqual(["what a task's rules refused could not be read"]);
  expect(sandboxes.owns(name)).toBe(false);
  expect(await helpers()).toEqual([]);
});

test("a helper that does not end keeps no other sandbox from its new rules", async () => {
  const manual = new ManualClock("2026-01-01T00:00:00Z");
  clock = manual;
  const sandboxes = await open({ checkMs: 0 });
  const stop = new AbortController();
  const first = await take(sandboxes, registryOnly);
  const second = await take(sandboxes, registryOnly);
  const before = second.rules.hash;
  host.stuck = first.id;
  host.says += "local 192.0.2.99 dev eth1 scope host\n";

  const kept = sandboxes.keep({ signal: stop.signal, freeBytes: () => 0 });
  await outwait(manual);
  await until(() => second.rules.hash !== before);
  // The first one, too, when it is looked at again.
  await until(() => first.rules.hash !== before);
  stop.abort();
  await kept;

  expect(await helpers()).toEqual([]);
});

test("the network that another agent took away is made again", async () => {
  let missing = true;
  const sandboxes = await open({}, (call) => {
    if (call !== "create" || !missing) return undefined;
    missing = false;
    return new EngineError("not-found", "network cofferdam-sandboxes not found");
  });

  await take(sandboxes);

  expect(engine.calls.filter((call) => call.startsWith("ensureNetwork"))).toHaveLength(2);
});
