import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentApi } from "../../../src/launch-agent/api/client.ts";
import { Room } from "../../../src/launch-agent/claim/capacity.ts";
import { claimTasks } from "../../../src/launch-agent/claim/loop.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { Secret } from "../../../src/lib/secret.ts";
import type { FaultProxy, Fault as Harm } from "../../fakes/fault-proxy.ts";
import { wireProxy } from "../../fakes/wire-proxy.ts";
import { certificates } from "../certificates.ts";
import { until } from "../child.ts";
import type { Fault } from "../fault.ts";
import { ticking } from "../jobs.ts";
import type { World } from "../world.ts";

const claim = /^POST \/api\/v3\/runner\/claim/;
const records = /^POST \/api\/agent\/v1\/records/;
const heartbeat = /^POST \/api\/agent\/v1\/heartbeat/;
const anything = /./;
const page = "<!doctype html><title>Sign in</title><h1>Welcome to the network of the hotel</h1>";

/** What networks and proxies between an agent and its control plane do. */
export const networkFaults: readonly Fault[] = [
  throughProxy("F02", "500, ten times, on whatever is called", [
    { match: anything, times: 10, harm: { kind: "answer", status: 500 }, midway: true },
  ]),
  {
    id: "F03",
    what: "429 with Retry-After 1, five times: nobody asks earlier",
    run: async (world) => await obeyRetryAfter(world),
  },
  throughProxy("F04", "answers at one byte a second", [
    { match: records, times: 2, harm: { kind: "trickle", bytes: 1, bytesPerSecond: 1 } },
    { match: heartbeat, times: 1, harm: { kind: "trickle", bytes: 1, bytesPerSecond: 1 } },
    { match: claim, times: 1, harm: { kind: "trickle", bytes: 100, bytesPerSecond: 2_000 } },
  ]),
  throughProxy("F05", "bodies that end in the middle", eachCall({ kind: "cut-body" })),
  throughProxy("F06", "HTML where JSON was due: 200 of a captive portal, 502 of a proxy", [
    ...eachCall({ kind: "answer", status: 200, body: page }),
    ...eachCall({ kind: "answer", status: 502, body: page }),
    { match: records, times: 1, harm: { kind: "answer", status: 200, body: '{"acked":"many"}', headers: json() } },
  ]),
  throughProxy(
    "F07",
    "connections that are reset after the head of the answer",
    eachCall({ kind: "reset-after-headers" }),
  ),
  {
    id: "F08",
    what: "bytes that arrive one by one, each way",
    run: async (world) => await slice(world),
  },
  throughProxy("F09", "calls that are never answered, until their deadline", [
    { match: records, times: 1, harm: { kind: "black-hole" }, midway: true },
    { match: heartbeat, times: 1, harm: { kind: "black-hole" }, midway: true },
  ]),
  {
    id: "F09P",
    what: "a network that holds everything back for 12 s, and then lets it go",
    run: async (world) => await stall(world),
  },
  {
    id: "F10",
    what: "the control plane's certificate expires, and is renewed: told, tried again, and the job is whole",
    run: async (world) => await expire(world),
  },
  {
    id: "F14",
    what: "50 agents come back together: spread over time",
    run: async (world) => await comeBackTogether(world, 50),
  },
  throughProxy("F16", "a partition in one direction: everything arrives, answers are lost", [
    { match: claim, times: 2, harm: { kind: "lose-answer" } },
    { match: records, times: 6, harm: { kind: "lose-answer" } },
    { match: heartbeat, times: 3, harm: { kind: "lose-answer" } },
  ]),
  throughProxy("F17", "a fifth of all calls is lost, one way or the other", [
    { match: records, times: 1, harm: { kind: "lose-answer" } },
    { match: records, times: 1, harm: { kind: "reset-after-headers" } },
    { match: anything, probability: 0.1, harm: { kind: "lose-answer" } },
    { match: anything, probability: 0.1, harm: { kind: "reset-after-headers" } },
  ]),
  {
    id: "F21",
    what: "a proxy with nothing behind it: 404 to everything for 10 s, and 401 for 5 s",
    run: async (world) => await answerInItsPlace(world),
  },
];

interface PlannedHarm {
  match: RegExp;
  times?: number;
  /** It may then never be done: beside it there has to be one that is. */
  probability?: number;
  harm: Harm;
  /** Once the job runs. Default: from the start. */
  midway?: boolean;
}

function eachCall(harm: Harm): PlannedHarm[] {
  return [
    { match: claim, times: 2, harm },
    { match: records, times: 4, harm },
    { match: heartbeat, times: 2, harm },
  ];
}

function json(): Record<string, string> {
  return { "content-type": "application/json" };
}

/** One job, one attempt, every byte of it, whatever the proxy does. */
function throughProxy(id: string, what: string, harms: PlannedHarm[]): Fault {
  return { id, what, run: async (world) => await runThrough(world, harms) };
}

async function runThrough(world: World, harms: PlannedHarm[]): Promise<string> {
  await world.begin();
  const early = harms.filter(({ midway }) => !midway).map((harm) => add(world.proxy, harm));
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 40, everyMs: 100 }));
  await world.untilOutput(running);
  const late = harms.filter(({ midway }) => midway).map((harm) => add(world.proxy, harm));
  const evidence = await world.finish();
  const rules = [...early, ...late];
  if (rules.some(({ hits, mustHit }) => mustHit && hits() === 0))
    throw new Error("a harm was never done: the test proves nothing");
  return `${evidence}, calls harmed ${rules.reduce((sum, { hits }) => sum + hits(), 0)}`;
}

function add(
  proxy: FaultProxy,
  { match, harm, times, probability }: PlannedHarm,
): { hits: () => number; mustHit: boolean } {
  const rule = proxy.add({
    match,
    fault: harm,
    ...(times === undefined ? {} : { times }),
    ...(probability === undefined ? {} : { probability }),
  });
  return { hits: () => rule.hits, mustHit: probability === undefined };
}

async function obeyRetryAfter(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 30, everyMs: 100 }));
  await world.untilOutput(running);
  const refused: number[] = [];
  const lane = /\/records\?lane=task/;
  world.proxy.add({
    match: lane,
    times: 5,
    fault: { kind: "answer", status: 429, headers: { "retry-after": "1" }, first: async () => mark(refused) },
  });
  const evidence = await world.finish();
  const came = world.proxy.calls.filter(({ call }) => lane.test(call)).map(({ atMs }) => atMs);
  for (const at of refused) {
    const next = came.find((later) => later > at);
    if (next !== undefined && next - at < 1_000) throw new Error(`asked again after ${Math.round(next - at)} ms`);
  }
  return `${evidence}, refused ${refused.length} times`;
}

async function mark(times: number[]): Promise<void> {
  times.push(performance.now());
}

async function slice(world: World): Promise<string> {
  await world.begin();
  const wire = await wireProxy({ upstreamPort: world.plane.port, wire: { sliceBytes: 1 }, random: world.random });
  world.own(wire);
  await world.startAgent({ url: `http://127.0.0.1:${wire.port}` });
  await world.start(ticking({ ticks: 20, everyMs: 100 }));
  return await world.finish();
}

async function stall(world: World): Promise<string> {
  await world.begin();
  const wire = await wireProxy({ upstreamPort: world.plane.port, random: world.random });
  world.own(wire);
  await world.startAgent({ url: `http://127.0.0.1:${wire.port}` });
  const running = await world.start(ticking({ ticks: 40, everyMs: 100 }));
  await world.untilOutput(running);
  wire.wire.stalled = true;
  await sleep(12_000);
  wire.wire.stalled = false;
  return await world.finish();
}

async function answerInItsPlace(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const running = await world.start(ticking({ ticks: 200, everyMs: 100 }));
  await world.untilOutput(running);
  const spells = [
    {
      forMs: 10_000,
      status: 404,
      body: "404 page not found\n",
      headers: { "content-type": "text/plain; charset=utf-8" },
    },
    { forMs: 5_000, status: 401, body: page },
  ];
  let harmed = 0;
  // What is held then ends with what was behind the proxy.
  world.proxy.cut();
  for (const { forMs, ...answer } of spells) {
    const rule = world.proxy.add({ match: anything, fault: { kind: "answer", ...answer } });
    await sleep(forMs);
    rule.remove();
    if (rule.hits === 0) throw new Error(`nobody got a ${answer.status}: the test proves nothing`);
    harmed += rule.hits;
  }
  return `${await world.finish()}, calls harmed ${harmed}`;
}

async function expire(world: World): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-fault-tls-"));
  world.own({ [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true }) });
  const tls = { certFile: join(directory, "tls.crt"), keyFile: join(directory, "tls.key") };
  const trusted = join(directory, "trusted.pem");
  await writeFile(tls.keyFile, certificates.key);
  await writeFile(tls.certFile, certificates.valid);
  await writeFile(trusted, certificates.valid + certificates.expired);
  await world.begin({ tls });
  const wire = await wireProxy({ upstreamPort: world.plane.port, random: world.random });
  world.own(wire);
  const url = `https://localhost:${wire.port}`;
  const agent = await world.startAgent({ url, env: { COFFERDAM_CA_FILE: trusted } });
  const running = await world.start(ticking({ ticks: 40, everyMs: 100 }));
  await world.untilOutput(running);
  await writeFile(tls.certFile, certificates.expired);
  world.plane.signal("SIGHUP");
  // Who is connected stays so; who comes anew sees the certificate.
  await until("somebody sees the certificate", 20_000, () => {
    wire.cut();
    return agent.child.said.includes("expired") ? true : undefined;
  });
  await writeFile(tls.certFile, certificates.valid);
  world.plane.signal("SIGHUP");
  return await world.finish();
}

/** Their claim loops, without engines. */
async function comeBackTogether(world: World, count: number): Promise<string> {
  await world.begin();
  const stop = new AbortController();
  const api = new AgentApi({
    address: { baseUrl: world.proxy.url },
    token: new Secret(world.token),
    version: "test",
    clock: systemClock,
    random: Math.random,
    timeoutMs: 30_000,
  });
  const loops = Array.from({ length: count }, (_unused, index) => claimLoop(api, index, stop.signal));
  /** Those that are held since then. */
  const held = (since: number): FaultProxy["calls"] =>
    world.proxy.calls.filter(({ atMs, status, lost }) => atMs > since && status === undefined && !lost);
  await until("all agents wait", 30_000, () => (held(0).length >= count ? true : undefined));
  await world.plane.kill();
  const killedAt = performance.now();
  await sleep(3_000);
  const away = world.proxy.calls.filter(({ atMs }) => atMs > killedAt).length;
  await world.plane.start();
  await until("all agents wait again", 30_000, () => (held(killedAt).length >= count ? true : undefined));
  const times = held(killedAt).map(({ atMs }) => atMs);
  stop.abort(new Error("the test is over"));
  await Promise.all(loops);
  await api.close();
  const crowd = mostWithin(times, 100);
  if (crowd > count / 2) throw new Error(`${crowd} of ${count} came within the same 100 ms`);
  if (away > count * 30) throw new Error(`${away} calls within 3 s by ${count} agents: a storm`);
  await world.finish();
  return `${away} calls in 3 s while away, at most ${crowd} back within 100 ms`;
}

async function claimLoop(api: AgentApi, index: number, signal: AbortSignal): Promise<void> {
  await claimTasks({
    api,
    agent: { name: `loop-${index}`, hostname: "", version: "" },
    room: new Room({ tasks: 1, memoryBytes: 1, cpus: 1 }),
    waitMs: 30_000,
    session: undefined,
    onNameTaken: () => {},
    onClaim: () => {
      throw new Error("there is no task to claim");
    },
    clock: systemClock,
    random: Math.random,
    newId: () => `claim-${index}`,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    signal,
  });
}

function mostWithin(times: number[], ms: number): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + ms).length));
}
