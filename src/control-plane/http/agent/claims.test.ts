import { describe, expect, test } from "vitest";
import { noNetwork } from "../../../../test/fakes/tasks.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../../protocol/agent-api.ts";

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

test("an agent that stops gets what was handed out to it already, and nothing else", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["one", "two"]));
  const first = await plane.agent.claim(plane.token, { claimId: "a" });

  const repeated = await plane.agent.claim(plane.token, { claimId: "a", repeatOnly: true });
  const other = await plane.agent.claim(plane.token, { claimId: "b", repeatOnly: true });

  expect(repeated?.task).toEqual(first?.task);
  expect(other).toBeUndefined();
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
