import { agentApi } from "../../../src/protocol/agent-api.ts";
import type { Answer, Held } from "../../fakes/fake-agent.ts";
import { started } from "../../fakes/fake-agent.ts";
import { until } from "../child.ts";
import { createOfTask } from "../engine.ts";
import type { Fault } from "../fault.ts";
import { ticking } from "../jobs.ts";
import type { World } from "../world.ts";

const shortLeaseMs = 3_000;
const job = ticking({ ticks: 3, everyMs: 10 });

/** Who holds a task, and what becomes of whoever held it before. */
export const claimFaults: readonly Fault[] = [
  { id: "T01", what: "100 agents ask for one task, ten times: one gets it", run: async (world) => await race(world) },
  {
    id: "T02",
    what: "the answer to a claim is lost: the same agent gets the same attempt",
    run: async (world) => await loseClaim(world),
  },
  {
    id: "T03",
    what: "an agent is stopped for longer than its lease: its task is over, and its container gone in 5 s once it goes on",
    run: async (world) => await stopAgent(world),
  },
  {
    id: "T03Q",
    what: "an agent is stopped before its task has begun: another one runs it, the first one does not",
    run: async (world) => await stopBeforeBegun(world),
  },
  {
    id: "T04",
    what: "an attempt that was taken away reports success: refused on every route, and nothing changes",
    run: async (world) => await reportStale(world),
  },
  {
    id: "T05",
    what: "tokens where they do not belong, or too late: refused",
    run: async (world) => await misuse(world),
  },
  {
    id: "T07",
    what: "a claim, the records of a task and its end are sent again as they were, before and after the end: nothing happens twice",
    run: async (world) => await replay(world),
  },
  {
    id: "T10",
    what: "an agent of another class asks while a task waits: it gets none",
    run: async (world) => await askForOthers(world),
  },
];

async function race(world: World): Promise<string> {
  const agents = 100;
  await world.begin();
  const agent = world.fakeAgent();
  for (let round = 0; round < 10; round++) {
    const running = await world.start(job);
    const names = Array.from({ length: agents }, (_unused, index) => `agent-${round}-${index}`);
    const claims = await Promise.all(names.map((name) => agent.claim(world.token, { name, waitMs: 100 })));
    const won = claims.filter((held) => held !== undefined);
    if (won.length !== 1) throw new Error(`${won.length} of ${agents} agents got one task`);
    await won[0]?.finish("success", job.output.toString());
    await world.ended(running);
  }
  return await world.finish();
}

async function loseClaim(world: World): Promise<string> {
  await world.begin();
  const rule = world.proxy.add({ match: /runner\/claim/, times: 1, fault: { kind: "lose-answer" } });
  await world.start(ticking({ ticks: 10, everyMs: 50 }));
  await world.startAgent();
  const evidence = await world.finish();
  if (rule.hits !== 1) throw new Error("no claim was lost");
  return evidence;
}

async function stopAgent(world: World): Promise<string> {
  await world.begin({ leaseMs: shortLeaseMs });
  const agent = await world.startAgent();
  const running = await world.start(ticking({ ticks: 600, everyMs: 100 }), {
    status: "infrastructure_fail",
    output: "prefix",
  });
  await world.untilOutput(running);
  agent.signal("SIGSTOP");
  await world.ended(running);
  agent.signal("SIGCONT");
  await until("the container of the old attempt is gone", 5_000, async () =>
    (await world.engine.taskContainersOf(agent.name)).length === 0 ? true : undefined,
  );
  return await world.finish();
}

async function stopBeforeBegun(world: World): Promise<string> {
  await world.begin({ leaseMs: shortLeaseMs });
  const slowEngine = await world.engineProxy();
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const create = slowEngine.add({ match: createOfTask, fault: { kind: "first", run: async () => await held } });
  // With room for this task alone it does not wait for another one.
  const first = await world.startAgent({ engineSocket: slowEngine.socketPath, tasks: 1 });
  const running = await world.start(job, { attempts: [2] });
  await until("the first agent makes its container", 30_000, () => (create.hits > 0 ? true : undefined));
  first.signal("SIGSTOP");
  await world.startAgent();
  await world.ended(running);
  letGo();
  first.signal("SIGCONT");
  return await world.finish();
}

async function reportStale(world: World): Promise<string> {
  await world.begin({ leaseMs: shortLeaseMs });
  const agent = world.fakeAgent();
  const running = await world.start(job, { attempts: [2] });
  const old = await claimed(agent.claim(world.token, { name: "old" }));
  const now = await until("the task is claimed again", 30_000, () => agent.claim(world.token, { name: "new" }));
  await now.send([started(100)]);
  const refused = await callEverything(old);
  for (const [what, answer] of Object.entries(refused)) {
    const code = (answer.json as { code?: string } | undefined)?.code;
    if (answer.status !== 409 && !(what === "unclaim" && answer.status === 404))
      throw new Error(`${what} of an old attempt was answered ${answer.status} ${code ?? ""}`);
  }
  await now.sendFrom(2, recordsAfterStart());
  await world.ended(running);
  const evidence = await world.finish();
  return `${evidence}, ${Object.keys(refused).length} calls refused`;
}

function recordsAfterStart(): Parameters<Held["sendFrom"]>[1] {
  const length = job.output.byteLength;
  return [
    [{ type: "output", step: 100, stream: "stdout", offset: 0, length, encoding: "identity" }, job.output],
    { type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 },
    { type: "task-ended", status: "success", atMs: 3 },
  ];
}

/** Everything that an agent can do with the token of a task. */
async function callEverything(held: Held): Promise<Record<string, Answer>> {
  const { id, attempt } = held.task;
  const json = { task_id: id, task_token: held.token, reason: "late" };
  const fail = { allocation: `${id}.${attempt}`, timestamp: 1, message: Buffer.from("late").toString("base64") };
  return {
    records: await held.finish("success", "not the output that is due\n"),
    "launch records": await held.sendFrom(1, [{ type: "task-ended", status: "failed", atMs: 1 }], "launch"),
    heartbeat: await held.call("POST", agentApi.heartbeat, { json: {} }),
    unclaim: await held.call("POST", agentApi.unclaim, { json }),
    fail: await held.call("POST", agentApi.fail, { json: fail }),
    "task config": await held.call("GET", agentApi.taskConfig),
    "read cache": await held.call("GET", `${agentApi.cache}?key=k`),
    "save cache": await held.call("PUT", `${agentApi.cache}?key=k`, { body: "late" }),
    "read workspace": await held.call("GET", agentApi.workspace),
    "persist workspace": await held.call("PUT", `${agentApi.workspace}?step=100`, { body: "late" }),
    artifact: await held.call("PUT", `${agentApi.artifacts}?path=late`, { body: "late" }),
    "test results": await held.call("PUT", `${agentApi.testResults}?step=100`, { body: '{"tests":[]}' }),
    source: await held.call("GET", `${agentApi.source}?method=full`),
  };
}

async function misuse(world: World): Promise<string> {
  await world.begin();
  const agent = world.fakeAgent();
  const first = await world.start(job);
  const ended = await claimed(agent.claim(world.token));
  await ended.finish("success", job.output.toString());
  await world.ended(first);
  await world.start(job);
  const running = await claimed(agent.claim(world.token));
  const unclaim = { task_id: running.task.id, task_token: ended.token };
  const answers: Record<string, Answer> = {
    "no token": await agent.call("POST", agentApi.heartbeat, { json: {} }),
    "an invented token": await agent.call("POST", agentApi.heartbeat, { token: "invented", json: {} }),
    "the class's token for a task": await agent.call("POST", agentApi.heartbeat, { token: world.token, json: {} }),
    "a task's token for a claim": await agent.call("POST", agentApi.claim, {
      token: running.token,
      json: { name: "a" },
    }),
    "another task's token": await agent.call("POST", agentApi.unclaim, { token: ended.token, json: unclaim }),
    "an artifact after the end": await ended.call("PUT", `${agentApi.artifacts}?path=late`, { body: "late" }),
  };
  const accepted = Object.entries(answers).filter(([, { status }]) => status < 400 || status >= 500);
  if (accepted.length > 0)
    throw new Error(accepted.map(([what, { status }]) => `${what} was answered ${status}`).join(", "));
  // What was on its way at the end may still come: it changes nothing.
  const events = async (): Promise<number> => (await world.plane.call("events", { pipeline: first.pipeline })).length;
  const before = await events();
  await ended.finish("failed", "not the output that is due\n");
  await ended.call("POST", agentApi.fail, { json: { allocation: "x", timestamp: 1, message: "bGF0ZQ==" } });
  if ((await events()) !== before) throw new Error("what was sent after the end of a task was taken in");
  await running.finish("success", job.output.toString());
  return `${await world.finish()}, ${Object.keys(answers).length} calls refused`;
}

async function replay(world: World): Promise<string> {
  await world.begin();
  const agent = world.fakeAgent();
  const running = await world.start(job);
  const claim = async () => await agent.claim(world.token, { claimId: "recorded" });
  const first = await claimed(claim());
  const again = await claimed(claim());
  if (again.task.id !== first.task.id || again.task.attempt !== first.task.attempt)
    throw new Error("a claim that was sent again got another attempt");
  const whole = async () => await first.sendFrom(1, [started(100), ...recordsAfterStart()]);
  if ((await first.send([started(100)])).status !== 200 || (await whole()).status !== 200)
    throw new Error("records that were sent again in mid-task were refused");
  await world.ended(running);
  const events = async (): Promise<number> => (await world.plane.call("events", running)).length;
  const before = await events();
  const late = await whole();
  const after = await claim();
  if (late.status >= 500 || after !== undefined || (await events()) !== before)
    throw new Error(`after the end: records answered ${late.status}, claimed again: ${after !== undefined}`);
  return await world.finish();
}

async function askForOthers(world: World): Promise<string> {
  await world.begin();
  const token = await world.plane.call("prepare", { resourceClass: "faults/other" });
  const stranger = await world.startAgent({ env: { CIRCLECI_RUNNER_API_AUTH_TOKEN: token } });
  await stranger.child.says(/serving a resource class/);
  const running = await world.start(job);
  const got = await world.fakeAgent().claim(token, { name: "stranger", waitMs: 2_000 });
  if (got !== undefined) throw new Error("an agent of another class got the task");
  await world.startAgent();
  await world.ended(running);
  if (stranger.child.said.includes("task claimed")) throw new Error("the agent of another class had the task");
  return await world.finish();
}

async function claimed(claim: Promise<Held | undefined>): Promise<Held> {
  const held = await claim;
  if (!held) throw new Error("there was no task");
  return held;
}
