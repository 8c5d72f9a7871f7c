import { randomBytes } from "node:crypto";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { Held } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  storyOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { agentApi, cacheKeyHeader } from "../../../protocol/agent-api.ts";

async function claim(plane: TemporaryControlPlane): Promise<Held> {
  const held = await plane.agent.claim(plane.token, { waitMs: 1_000 });
  if (!held) throw new Error("no task");
  return held;
}

const cachePath = (...keys: string[]): string =>
  `${agentApi.cache}?${new URLSearchParams(keys.map((key): [string, string] => ["key", key])).toString()}`;

async function cacheFiles(plane: TemporaryControlPlane): Promise<string[]> {
  const directory = join(plane.directory, "data", "caches");
  return (await readdir(directory)).map((name) => join(directory, name));
}

describe("caches", () => {
  test("come back as the newest one whose key begins with the first prefix that matches", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);
    for (const key of ["v1-a", "v1-b", "v1-ä%/=", "v2"]) await task.call("PUT", cachePath(key), { body: `of ${key}` });

    const newest = await task.call("GET", cachePath("v0", "v1-", "v2"));
    const exact = await task.call("GET", cachePath("v1-a"));
    const none = await task.call("GET", cachePath("V1"));

    expect(decodeURIComponent(String(newest.headers[cacheKeyHeader]))).toBe("v1-ä%/=");
    expect(newest.bytes.toString("utf8")).toBe("of v1-ä%/=");
    expect(exact.bytes.toString("utf8")).toBe("of v1-a");
    expect(none.status).toBe(204);
  });

  test("are written once", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    const statuses = [
      (await task.call("HEAD", cachePath("k"))).status,
      (await task.call("PUT", cachePath("k"), { body: "first" })).status,
      (await task.call("HEAD", cachePath("k"))).status,
      (await task.call("PUT", cachePath("k"), { body: randomBytes(3_000_000) })).status,
    ];

    expect(statuses).toEqual([404, 201, 200, 200]);
    expect((await task.call("GET", cachePath("k"))).bytes.toString("utf8")).toBe("first");
  });

  test("have one winner when two write at once", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    const answers = await Promise.all(
      ["one", "two"].map((body) => task.call("PUT", cachePath("k"), { body: Readable.from([body]) })),
    );

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 201]));
    expect(await cacheFiles(plane)).toHaveLength(1);
  });

  test("of other projects are not seen", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    await plane.start(configOf(["build"]), { project: { slug: "gh/other/project", name: "project" } });
    const [mine, other] = [await claim(plane), await claim(plane)];
    await mine.call("PUT", cachePath("k"), { body: "mine" });

    expect((await other.call("GET", cachePath("k"))).status).toBe(204);
  });

  test("whose bytes are cut off or changed are as if they had never been", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);
    await task.call("PUT", cachePath("k-1"), { body: "older" });
    await task.call("PUT", cachePath("k-2"), { body: "newer" });
    const [one, two] = await cacheFiles(plane);
    const newer = (await readFile(one ?? "", "utf8")) === "newer" ? one : two;

    await writeFile(newer ?? "", "NEWER");
    const corrupt = await task.call("GET", cachePath("k"));
    const after = await task.call("GET", cachePath("k"));
    await truncate(one === newer ? (two ?? "") : (one ?? ""), 1);

    expect(corrupt.status).toBe(500);
    expect(after.bytes.toString("utf8")).toBe("older");
    expect((await task.call("GET", cachePath("k"))).status).toBe(204);
  });

  test("leave nothing behind when the upload breaks off", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);
    const broken = Readable.from(
      (async function* () {
        yield randomBytes(100_000);
        throw new Error("broke off");
      })(),
    );

    await expect(task.call("PUT", cachePath("k"), { body: broken })).rejects.toThrow("broke off");

    expect((await task.call("HEAD", cachePath("k"))).status).toBe(404);
    const incoming = join(plane.directory, "data", "incoming");
    await expect.poll(() => readdir(incoming)).toEqual([]);
  });

  test("need a key", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    expect(await task.call("GET", agentApi.cache)).toMatchObject({ status: 400, json: { code: "bad-request" } });
    expect(await task.call("PUT", cachePath("k".repeat(901)), { body: "x" })).toMatchObject({ status: 400 });
  });
});

describe("workspaces", () => {
  test("are laid over one another in graph order, tasks by their index", async () => {
    await using plane = await temporaryControlPlane();
    const config = configOf(["first", { many: { requires: ["first"] } }, "beside", { last: { requires: ["many"] } }]);
    config.jobs["many"] = { machine: true, steps: [], parallelism: 2 };
    await plane.start(config);
    const persist = (held: Held, text: string, step = 100) =>
      held.call("PUT", `${agentApi.workspace}?step=${step}`, { body: text });
    const [first, beside] = [await claim(plane), await claim(plane)];
    await persist(beside, "beside");
    await persist(first, "first, late step", 105);
    await persist(first, "replaced", 101);
    await persist(first, "first", 101);
    await first.finish();
    const [one, two] = [await claim(plane), await claim(plane)];
    const held = one.task.node.index === 0 ? [one, two] : [two, one];
    for (const [index, task] of [...held.entries()].toReversed()) await persist(task, `many ${index}`);
    for (const task of held) await task.finish();
    const last = await claim(plane);

    const { json } = await last.call("GET", agentApi.workspace);

    const { layers } = json as { layers: { id: string; sizeBytes: number }[] };
    const texts = await Promise.all(
      layers.map(async ({ id }) => (await last.call("GET", agentApi.workspaceLayer(id))).bytes.toString("utf8")),
    );
    expect(texts).toEqual(["first", "first, late step", "many 0", "many 1"]);
    expect(layers.map(({ sizeBytes }) => sizeBytes)).toEqual(texts.map((text) => text.length));
    expect((await beside.call("GET", agentApi.workspaceLayer(layers[0]?.id ?? ""))).status).toBe(404);
    expect((await last.call("GET", agentApi.workspaceLayer("../../cofferdam.db"))).status).toBe(404);
  });
});

describe("artifacts", () => {
  test("lie where people look for them", async () => {
    await using plane = await temporaryControlPlane();
    const { id, number } = await plane.start(configOf(["build/it"]));
    const task = await claim(plane);
    const path = (name: string): string => `${agentApi.artifacts}?path=${encodeURIComponent(name)}`;

    const first = await task.call("PUT", path("reports/ü b.txt"), { body: "old" });
    await task.call("PUT", path("reports/ü b.txt"), { body: "new" });
    await task.finish();

    expect(first.status).toBe(201);
    const key = `artifacts/${number}/build_it/0/reports/ü b.txt`;
    expect(await plane.controlPlane.artifacts(id)).toEqual([
      { job: "build/it", node: 0, path: "reports/ü b.txt", sizeBytes: 3, blob: expect.objectContaining({ key }) },
    ]);
    expect(await readFile(join(plane.directory, "data", key), "utf8")).toBe("new");
    expect(await storyOf(plane.controlPlane, id)).toContainEqual(
      expect.objectContaining({ type: "artifact", path: "reports/ü b.txt", sizeBytes: 3 }),
    );
  });

  test.each(["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a\0b", "n".repeat(256)])(
    "are refused at the path %j",
    async (name) => {
      await using plane = await temporaryControlPlane();
      await plane.start(configOf(["build"]));
      const task = await claim(plane);

      const answer = await task.call("PUT", `${agentApi.artifacts}?path=${encodeURIComponent(name)}`, { body: "x" });

      expect(answer).toMatchObject({ status: 400, json: { code: "bad-request" } });
    },
  );

  test("cannot be both file and folder", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);
    await task.call("PUT", `${agentApi.artifacts}?path=a`, { body: "x" });

    const answer = await task.call("PUT", `${agentApi.artifacts}?path=a/b`, { body: "x" });

    expect(answer).toMatchObject({ status: 409, json: { code: "conflict" } });
  });
});

describe("test results", () => {
  const path = `${agentApi.testResults}?step=104`;

  test("are counted and kept", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf(["build"]));
    const task = await claim(plane);
    const tests = (["success", "failure", "error", "skipped"] as const).map((result) => ({
      classname: "c",
      name: result,
      result,
      runTime: 0.5,
    }));

    const answer = await task.call("PUT", path, { json: { tests } });
    await task.finish();

    expect(answer.status).toBe(201);
    expect(await storyOf(plane.controlPlane, id)).toContainEqual(
      expect.objectContaining({ type: "test-results", total: 4, failed: 2 }),
    );
  });

  test.each(["{", '{"tests":[{}]}', "[]"])("are refused when they are %s", async (body) => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    expect(await task.call("PUT", path, { body, type: "application/json" })).toMatchObject({ status: 400 });
  });
});

describe("test results that would keep everybody waiting", () => {
  const put = async (body: string) => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);
    return await task.call("PUT", `${agentApi.testResults}?step=104`, { body, type: "application/json" });
  };

  test("are refused before they are read", async () => {
    expect(await put(`{"tests":[${"[],".repeat(1_000_000)}[]]}`)).toMatchObject({
      status: 413,
      json: { code: "too-large", message: expect.stringContaining("values") },
    });
  });

  test("are not taken for those whose messages are full of brackets", async () => {
    const message = `\\"${"[{,".repeat(600_000)}`;
    const result = { classname: "c", name: "n", result: "failure", message, runTime: 1 };

    expect(await put(JSON.stringify({ tests: [result] }))).toMatchObject({ status: 201 });
  });
});

describe("the source", () => {
  test("comes as the provider gives it", async () => {
    const asked: object[] = [];
    await using plane = await temporaryControlPlane({
      sources: {
        open: async (request) => {
          asked.push(request);
          return Readable.from([Buffer.from("the "), Buffer.from("tree")]);
        },
      },
    });
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    const answer = await task.call("GET", `${agentApi.source}?method=shallow&depth=3`);

    expect(answer).toMatchObject({ status: 200, bytes: Buffer.from("the tree") });
    expect(asked).toEqual([
      expect.objectContaining({ method: "shallow", depth: 3, vcs: { branch: "main", revision: "0123abc" } }),
    ]);
  });

  test("fails in words where there is none", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]));
    const task = await claim(plane);

    expect(await task.call("GET", agentApi.source)).toMatchObject({ status: 500, json: { code: "internal" } });
  });
});

test("health is told without a token", async () => {
  await using plane = await temporaryControlPlane();

  expect((await plane.agent.call("GET", "/live")).json).toEqual({ status: "ok" });
  expect((await plane.agent.call("GET", "/ready")).json).toEqual({ status: "ok" });
  expect(await plane.agent.call("GET", "/nowhere?a")).toMatchObject({
    status: 404,
    json: { code: "not-found", message: "there is no GET /nowhere here" },
  });
});
