import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { FakeAgent, type Held, piece, started } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  jobEnds,
  storyOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
  testRoute,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";

const unsafe = { route: () => ({ ...testRoute, unsafeRetries: true }) };

async function claimed(plane: TemporaryControlPlane): Promise<Held> {
  const held = await plane.agent.claim(plane.token, { waitMs: 20_000 });
  if (!held) throw new Error("no task");
  return held;
}

/** The agent gives up, as it does when its container is lost. */
async function fail(held: Held, message = "the container is gone"): Promise<number> {
  const json = { allocation: "", timestamp: 1, message: Buffer.from(message).toString("base64") };
  return (await held.call("POST", agentApi.fail, { json })).status;
}

describe("a task of a class with unsafe retries", () => {
  test("runs again after its steps had begun, three times at most, and nothing of an old attempt is mixed in", async () => {
    await using plane = await temporaryControlPlane(unsafe);
    const { id } = await plane.start(configOf(["build"]));

    const first = await claimed(plane);
    await first.send([started(100), piece(100, 0, "of the first, in mid-li")]);
    await first.call("PUT", `${agentApi.artifacts}?path=a`, { body: "old" });
    await first.call("PUT", `${agentApi.artifacts}?path=only-old`, { body: "old" });
    await fail(first);
    const second = await claimed(plane);
    await second.send([started(100), piece(100, 0, "second\n")]);
    await second.call("PUT", `${agentApi.artifacts}?path=a`, { body: "new" });
    await second.finish();

    expect([first.task.attempt, second.task.attempt]).toEqual([1, 2]);
    const story = await storyOf(plane.controlPlane, id);
    expect(jobEnds(story)).toEqual({ build: "success" });
    expect(story.flatMap((event) => (event.type === "task" ? [`${event.attempt} ${event.status}`] : []))).toEqual([
      "1 queued",
      "1 running",
      "2 queued",
      "2 running",
      "2 success",
    ]);
    const output = [];
    for await (const bytes of plane.controlPlane.stepOutput(second.task.id, 100)) output.push(bytes);
    expect(Buffer.concat(output).toString()).toBe("second\n");
    const artifacts = await plane.controlPlane.artifacts(id);
    expect(artifacts.map(({ path, sizeBytes }) => ({ path, sizeBytes }))).toEqual([{ path: "a", sizeBytes: 3 }]);
  });

  test("ends as infrastructure failure when it was tried three times, which the third agent is told", async () => {
    await using plane = await temporaryControlPlane(unsafe);
    const { id } = await plane.start(configOf(["build"]));

    const statuses = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const held = await claimed(plane);
      await held.send([started(100)]);
      const json = { task_id: held.task.id, task_token: held.token };
      statuses.push(await plane.agent.call("POST", agentApi.unclaim, { json }));
    }

    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 409]);
    expect(statuses[2]?.json).toMatchObject({ message: expect.stringContaining("has been tried 3 times") });
    const story = await storyOf(plane.controlPlane, id);
    expect(jobEnds(story)).toEqual({ build: "infrastructure_fail" });
    expect(await plane.agent.claim(plane.token)).toBeUndefined();
  });

  test("does not run again when it failed by itself, or its pipeline is cancelled", async () => {
    await using plane = await temporaryControlPlane(unsafe);
    const red = await plane.start(configOf(["build"]));
    await (await claimed(plane)).finish("failed");
    const cancelled = await plane.start(configOf(["build"]));
    const held = await claimed(plane);
    await held.send([started(100)]);
    await plane.controlPlane.cancelPipeline(cancelled.id, "enough");
    await fail(held);

    expect(jobEnds(await storyOf(plane.controlPlane, red.id))).toEqual({ build: "failed" });
    expect(jobEnds(await storyOf(plane.controlPlane, cancelled.id))["build"]).not.toBe("success");
    expect(await plane.agent.claim(plane.token)).toBeUndefined();
  });
});

test.each([
  ["an artifact", `${agentApi.artifacts}?path=a`],
  ["a cache", `${agentApi.cache}?key=k`],
  ["a workspace layer", `${agentApi.workspace}?step=100`],
  ["test results", `${agentApi.testResults}?step=100`],
])(
  "%s whose upload began before the task was taken away is refused at its end, and leaves nothing",
  async (_name, path) => {
    await using plane = await temporaryControlPlane(unsafe);
    await plane.start(configOf(["build"]));
    const old = await claimed(plane);
    const body = new PassThrough();
    body.write('{"tests":');
    const upload = old.call("PUT", path, { body });
    const store = join(plane.directory, "data");
    // The old attempt is in the middle of it.
    while ((await readdir(join(store, "incoming"))).length === 0 && !path.includes("test-results"))
      await systemClock.sleep(5);

    await using other = new FakeAgent(plane.address);
    const lost = old.over(other);
    await fail(lost);
    const fresh = await claimed(plane);
    body.end("[]}");

    expect(await upload).toMatchObject({ status: 409, json: { code: "stale-attempt" } });
    expect(await filesBelow(store)).toEqual([]);
    const answer = await fresh.call("PUT", path, { body: '{"tests":[]}' });
    expect(answer.status).toBe(201);
  },
);

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && !entry.name.startsWith("cofferdam.db")).map(({ name }) => name);
}

test("whatever an old attempt still sends is refused, while the new one runs", async () => {
  await using plane = await temporaryControlPlane(unsafe);
  await plane.start(configOf(["build"]));
  const old = await claimed(plane);
  await old.send([started(100)]);
  await fail(old);
  await claimed(plane);

  const calls: [Parameters<Held["call"]>[0], string, object?][] = [
    ["POST", `${agentApi.records}?lane=launch`],
    ["POST", agentApi.heartbeat, {}],
    ["GET", agentApi.taskConfig],
    ["POST", agentApi.fail, { allocation: "", timestamp: 1, message: "" }],
    ["POST", agentApi.unclaim, { task_id: old.task.id, task_token: old.token }],
    ["POST", agentApi.continue, { configuration: "" }],
    ["GET", agentApi.source],
    ["GET", agentApi.workspace],
    ["GET", `${agentApi.cache}?key=k`],
    ["PUT", `${agentApi.cache}?key=k`],
    ["PUT", `${agentApi.artifacts}?path=a`],
    ["PUT", `${agentApi.testResults}?step=1`],
  ];
  const statuses = [];
  for (const [method, path, json] of calls)
    statuses.push(`${method} ${path} ${(await old.call(method, path, json ? { json } : {})).status}`);

  expect(statuses).toEqual(calls.map(([method, path]) => `${method} ${path} 409`));
});

test("a task's token is good for nothing once the task has ended, but for what was on its way", async () => {
  let aheadMs = 0;
  await using plane = await temporaryControlPlane({
    clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
  });
  await plane.start(configOf(["build"]));
  const held = await claimed(plane);
  await held.send([started(100)]);
  const end = [{ type: "task-ended" as const, status: "success" as const, atMs: 3 }];
  await held.sendFrom(2, end);

  const late = [await held.sendFrom(2, end), await held.send([started(0)], "launch")];
  const json = { allocation: "", timestamp: 1, message: "" };
  const others = [
    await held.sendFrom(3, [started(101)]),
    await held.call("POST", agentApi.fail, { json }),
    await held.call("GET", agentApi.taskConfig),
    await held.call("GET", agentApi.source),
    await held.call("GET", `${agentApi.cache}?key=k`),
    await held.call("PUT", `${agentApi.cache}?key=k`, { body: "x" }),
    await held.call("PUT", `${agentApi.artifacts}?path=a`, { body: "x" }),
    await held.call("POST", agentApi.continue, { json: { configuration: "" } }),
  ];
  aheadMs = 61_000;
  const later = [await held.sendFrom(2, end), await held.call("POST", agentApi.heartbeat, { json: {} })];

  expect(late.map(({ status }) => status)).toEqual([200, 200]);
  for (const answer of [...others, ...later])
    expect(answer).toMatchObject({ status: 401, json: { code: "unauthorized" } });
});

test("a hundred agents and one task, ten times: one winner each", { timeout: 60_000 }, async () => {
  await using plane = await temporaryControlPlane();
  const winners: string[] = [];

  for (let round = 0; round < 10; round++) {
    const { id } = await plane.start(configOf(["build"]));
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_unused, index) =>
        plane.agent.claim(plane.token, { name: `agent ${index}`, claimId: `${round}-${index}` }),
      ),
    );
    const held = answers.filter((answer) => answer !== undefined);
    winners.push(held.map(({ task }) => `${task.pipeline.id === id} ${task.attempt}`).join());
    await held[0]?.finish();
  }

  expect(winners).toEqual(Array.from({ length: 10 }, () => "true 1"));
});

test("a claim whose answer was lost is answered with the same attempt, also by another control plane", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one", "two"]));
  const json = { name: "agent", claim_id: "c" };
  // Whatever it was, its agent never saw it.
  await plane.agent.call("POST", agentApi.claim, { token: plane.token, json });

  await using other = await temporaryControlPlane({ dataDirectory: join(plane.directory, "data") });
  const again = await other.agent.claim(plane.token, { name: "agent", claimId: "c" });
  const next = await other.agent.claim(plane.token, { name: "agent", claimId: "d" });

  expect([again?.task.job.name, again?.task.attempt, next?.task.job.name]).toEqual(["one", 1, "two"]);
  expect((await again?.finish())?.status).toBe(200);
});
