import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type OperatedControlPlane,
  operatedControlPlane,
  repositoryIn,
} from "../../../../test/fakes/operated-control-plane.ts";
import { storyOf } from "../../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";
import {
  NewTokenItem,
  operatorApi,
  RunnerItems,
  TaskList,
  Triggered,
  WatchLine,
} from "../../../protocol/operator-api.ts";
import { openStore } from "../../store/store.ts";

const config =
  "version: 2.1\njobs: {build: {machine: true, resource_class: a/b, steps: [run: 'true']}}\nworkflows: {w: {jobs: [build]}}\n";

/** What the administrator's call was answered. */
async function ask(
  plane: OperatedControlPlane,
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  json?: unknown,
) {
  const answer = await plane.http.call(method, path, { token: plane.token, ...(json === undefined ? {} : { json }) });
  return { status: answer.status, json: answer.json, bytes: answer.bytes };
}

async function claimingToken(plane: OperatedControlPlane, resource_class = "a/b"): Promise<string> {
  await ask(plane, "POST", operatorApi.classes, { resource_class });
  const made = await ask(plane, "POST", operatorApi.tokens, { resource_class, nickname: "test" });
  return NewTokenItem.parse(made.json).token;
}

test.each([
  ["GET", operatorApi.agents],
  ["GET", operatorApi.classes],
  ["POST", operatorApi.classes],
  ["DELETE", operatorApi.classById("x", true)],
  ["GET", `${operatorApi.tokens}?resource-class=a/b`],
  ["GET", operatorApi.tasks],
  ["GET", operatorApi.metrics],
  ["POST", operatorApi.pipelines],
  ["GET", operatorApi.watch("1")],
  ["POST", operatorApi.cancel("1")],
] as const)("%s %s wants a user's token, and takes no other", async (method, path) => {
  await using plane = await operatedControlPlane();
  const claiming = await claimingToken(plane);

  const [none, other] = [await plane.http.call(method, path), await plane.http.call(method, path, { token: claiming })];

  for (const answer of [none, other]) expect(answer).toMatchObject({ status: 401, json: { code: "unauthorized" } });
});

describe("resource classes", () => {
  test("are made, listed, changed and deleted in CircleCI's shapes, with settings beside them", async () => {
    await using plane = await operatedControlPlane();
    const settings = { limits: { cpus: 3 }, network: { mode: "egress", deny: [{ to: "192.0.2.0/24" }] } };

    const made = await ask(plane, "POST", operatorApi.classes, { resource_class: "a/b", description: "d", settings });
    const again = await ask(plane, "POST", operatorApi.classes, { resource_class: "a/b" });
    const other = await ask(plane, "POST", operatorApi.classes, { resource_class: "ab/c" });
    const changes = { settings: { limits: { memoryBytes: 4096 }, network: null, unsafeRetries: true } };
    const changed = await ask(plane, "PATCH", operatorApi.classByName("a/b"), changes);
    const listed = await ask(plane, "GET", `${operatorApi.classes}?namespace=a`);

    const { id } = made.json as { id: string };
    expect(made).toMatchObject({
      status: 200,
      json: { id: expect.any(String), resource_class: "a/b", description: "d", settings },
    });
    expect([again.status, other.status]).toEqual([409, 200]);
    const after = {
      id,
      resource_class: "a/b",
      description: "d",
      settings: { limits: { cpus: 3, memoryBytes: 4096 }, unsafeRetries: true },
    };
    expect(changed.json).toEqual(after);
    expect(listed.json).toEqual({ items: [after] });
    expect((await ask(plane, "DELETE", operatorApi.classById(id, false))).status).toBe(200);
    expect((await ask(plane, "GET", operatorApi.classByName("a/b"))).status).toBe(404);
  });

  test.each([
    [{ resource_class: "ab" }, "resource_class"],
    [{ resource_class: "a b/c" }, "namespace/name"],
    [{ resource_class: "a/b", settings: { limits: { cpus: -1 } } }, "limits.cpus"],
    [{ resource_class: "a/b", settings: { network: { alow: [] } } }, "network.alow"],
    [{ resource_class: "a/b", settings: { network: { deny: [{ to: "x", port: ["1"] }] } } }, "network.deny.0.port"],
  ])("%j is refused, and the fault named", async (body, words) => {
    await using plane = await operatedControlPlane();

    const answer = await ask(plane, "POST", operatorApi.classes, body);

    expect(answer).toMatchObject({ status: 400, json: { message: expect.stringContaining(words) } });
  });

  test("decide what a job gets; a class that is not there is said so, and a job without one goes to the default", async () => {
    await using plane = await operatedControlPlane({ defaultClass: "a/b" });
    const token = await claimingToken(plane);
    await ask(plane, "PATCH", operatorApi.classByName("a/b"), {
      settings: { limits: { pids: 77 }, isolation: "strict", maxRunTimeMs: 5000 },
    });
    const { url } = await repositoryIn(plane.directory);
    const text = `version: 2.1
jobs:
  plain: {machine: true, steps: [run: "true"]}
  lost: {machine: true, resource_class: no/where, steps: [run: "true"]}
workflows: {w: {jobs: [plain, lost]}}
`;

    const made = Triggered.parse(
      (await ask(plane, "POST", operatorApi.pipelines, { config: text, repository: url })).json,
    );
    const held = await plane.http.claim(token);
    await held?.finish();

    expect(held?.task.container).toMatchObject({ resourceClass: "a/b", isolation: "strict", limits: { pids: 77 } });
    expect(held?.task.work.maxRunTimeMs).toBe(5000);
    expect(await storyOf(plane.controlPlane, made.id)).toContainEqual(
      expect.objectContaining({
        type: "job",
        status: "failed",
        reason: expect.stringContaining('no resource class "no/where"'),
      }),
    );
  });

  test("with tokens or tasks go only when they are forced to, and what waited is cancelled then", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const made = Triggered.parse((await ask(plane, "POST", operatorApi.pipelines, { config, repository: url })).json);
    const { id } = (await ask(plane, "GET", operatorApi.classByName("a/b"))).json as { id: string };

    const refused = await ask(plane, "DELETE", operatorApi.classById(id, false));
    const forced = await ask(plane, "DELETE", operatorApi.classById(id, true));

    expect([refused.status, forced.status]).toEqual([409, 200]);
    expect((await storyOf(plane.controlPlane, made.id)).at(-2)).toMatchObject({ type: "workflow", status: "canceled" });
    await expect(plane.http.claim(token)).rejects.toThrow("401");
  });
});

describe("tokens", () => {
  test("are shown once, listed without what they are, and claim until they are deleted", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);

    const listed = await ask(plane, "GET", `${operatorApi.tokens}?resource-class=a/b`);
    const [item] = (listed.json as { items: { id: string }[] }).items;
    const before = await plane.http.claim(token);
    const deleted = await ask(plane, "DELETE", operatorApi.tokenById(item?.id ?? ""));
    const twice = await ask(plane, "DELETE", operatorApi.tokenById(item?.id ?? ""));

    expect(listed.json).toEqual({
      items: [{ id: item?.id, resource_class: "a/b", nickname: "test", created_at: expect.any(String) }],
    });
    expect(listed.bytes.toString()).not.toContain(token);
    expect(before).toBeUndefined();
    expect([deleted.status, twice.status]).toEqual([200, 404]);
    await expect(plane.http.claim(token)).rejects.toThrow("401");
  });

  test("that are deleted while their agent waits for a task get none", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const waiting = plane.http.claim(token, { waitMs: 20_000 }).catch((error: unknown) => String(error));
    const listed = await ask(plane, "GET", `${operatorApi.tokens}?resource-class=a/b`);

    await ask(plane, "DELETE", operatorApi.tokenById((listed.json as { items: { id: string }[] }).items[0]?.id ?? ""));
    await ask(plane, "POST", operatorApi.pipelines, { config, repository: url });

    expect(await waiting).toContain("401");
    expect((await ask(plane, "GET", `${operatorApi.unclaimedTasks}?resource-class=a/b`)).json).toEqual({
      unclaimed_task_count: 1,
    });
  });

  test.each([operatorApi.tokens, operatorApi.unclaimedTasks, operatorApi.runningTasks, operatorApi.tasks])(
    "%s of a class that is not there is not found",
    async (path) => {
      await using plane = await operatedControlPlane();

      expect(await ask(plane, "GET", `${path}?resource-class=a/none`)).toMatchObject({ status: 404 });
    },
  );
});

test("agents are known by what they say, with what they run, until they are silent for 12 hours", async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  await using plane = await operatedControlPlane({ clock });
  const token = await claimingToken(plane);
  const { url } = await repositoryIn(plane.directory);
  await ask(plane, "POST", operatorApi.pipelines, { config, repository: url });

  const json = { name: "one", hostname: "h", version: "1.2.3", ip: "192.0.2.7" };
  const claimed = await plane.http.call("POST", agentApi.claim, { token, json });
  await plane.http.claim(token, { name: "two" });
  const listed = RunnerItems.parse((await ask(plane, "GET", `${operatorApi.agents}?resource-class=a/b`)).json);
  const elsewhere = RunnerItems.parse((await ask(plane, "GET", `${operatorApi.agents}?namespace=b`)).json);
  const tasks = TaskList.parse((await ask(plane, "GET", operatorApi.tasks)).json);
  aheadMs = 12 * 3_600_000 + 60_000;
  const later = RunnerItems.parse((await ask(plane, "GET", operatorApi.agents)).json);

  const task = (claimed.json as { task: { id: string } }).task.id;
  expect(listed.items).toMatchObject([
    {
      resource_class: "a/b",
      name: "one",
      hostname: "h",
      ip: "192.0.2.7",
      version: "1.2.3",
      running_tasks: [task],
      last_used: expect.any(String),
    },
    { name: "two", ip: "127.0.0.1", running_tasks: [], last_used: null },
  ]);
  expect(tasks).toMatchObject({
    unclaimed: 0,
    running: 1,
    items: [{ id: task, agent: "one", job: "build", workflow: "w", status: "running" }],
  });
  expect([elsewhere.items, later.items]).toEqual([[], []]);
});

test("of thousands of tasks as many are listed as are asked for, and all are counted", {
  timeout: 30_000,
}, async () => {
  await using plane = await operatedControlPlane();
  await claimingToken(plane);
  const { url: repository } = await repositoryIn(plane.directory);
  const many = config.replace("machine: true", "machine: true, parallelism: 1000");
  for (let round = 0; round < 2; round++) await ask(plane, "POST", operatorApi.pipelines, { config: many, repository });

  const tasks = TaskList.parse((await ask(plane, "GET", `${operatorApi.tasks}?limit=10`)).json);

  expect(tasks).toMatchObject({ unclaimed: 2_000, running: 0 });
  expect(tasks.items.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

describe("a pipeline", () => {
  test.each([
    ["a branch", { branch: "main" }, { CIRCLE_BRANCH: "main" }],
    ["the default branch", {}, { CIRCLE_BRANCH: "main" }],
    ["a tag", { tag: "v1" }, { CIRCLE_TAG: "v1" }],
  ])("is triggered on %s, at the commit that it has now, with its parameters", async (_name, reference, expected) => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url, revision } = await repositoryIn(plane.directory);
    const text = `version: 2.1
parameters: {count: {type: integer, default: 1}}
jobs: {build: {machine: true, resource_class: a/b, steps: [run: echo << pipeline.parameters.count >> << pipeline.number >> << pipeline.git.revision >>]}}
workflows: {w: {jobs: [build: {filters: {tags: {only: /.*/}}}]}}
`;

    const body = { config: text, repository: url, parameters: { count: 7 }, ...reference };
    const made = Triggered.parse((await ask(plane, "POST", operatorApi.pipelines, body)).json);
    const held = await plane.http.claim(token);

    expect(held?.task.work.environment).toMatchObject({ ...expected, CIRCLE_SHA1: revision, CIRCLE_USERNAME: "admin" });
    expect(held?.task.work.steps).toMatchObject([{ command: `echo 7 ${made.number} ${revision}` }]);
    expect(held?.task.pipeline).toEqual({ id: made.id, number: made.number });
  });

  test("has its scheduled workflows started later, at the commit that its branch has then", {
    timeout: 30_000,
  }, async () => {
    await using plane = await operatedControlPlane({ schedules: true });
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const nightly = "{triggers: [{schedule: {cron: 0 4 * * *, filters: {branches: {only: main}}}}], jobs: [build]}";
    const text = config.replace("{w: {jobs: [build]}}", `{nightly: ${nightly}}`);
    await ask(plane, "POST", operatorApi.pipelines, { config: text, repository: url });
    const directory = join(plane.directory, "data");
    const store = await openStore({ directory, clock: systemClock, onCommit: () => undefined });
    await store.db.updateTable("schedule").set({ due_ms: Date.now() }).execute();

    const held = await plane.http.claim(token, { waitMs: 20_000 });

    expect(held?.task).toMatchObject({ workflow: { name: "nightly" }, pipeline: { number: 2 } });
    expect(held?.task.work.environment).toMatchObject({ CIRCLE_BRANCH: "main" });
    await store.close();
  });

  test("is not made of a config with errors, a repository that is not there, or a branch that it does not have", async () => {
    await using plane = await operatedControlPlane();
    const { url } = await repositoryIn(plane.directory);
    const post = async (body: object) =>
      await ask(plane, "POST", operatorApi.pipelines, { config, repository: url, ...body });

    const errors = await post({
      config: "version: 2.1\njobs: {build: {machine: true, steps: [no-such-command]}}\n",
      file: "my.yml",
    });
    const branch = await post({ branch: "none" });
    const both = await post({ branch: "main", tag: "v1" });
    const address = await post({ repository: "--upload-pack=touch /tmp/x" });
    const gone = await post({ repository: `${url}-gone` });

    expect(errors).toMatchObject({
      status: 400,
      json: { code: "config-errors", message: expect.stringMatching(/my\.yml:\d/) },
    });
    expect(branch).toMatchObject({
      status: 404,
      json: { message: expect.stringContaining("there is no refs/heads/none") },
    });
    expect(both).toMatchObject({ status: 400, json: { message: expect.stringContaining("not of both") } });
    expect(address).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining("no address of a repository") },
    });
    expect(gone.status).toBe(404);
  });

  test("is watched from where one left off, cancelled by number, and approved by name", async () => {
    await using plane = await operatedControlPlane();
    const { url } = await repositoryIn(plane.directory);
    await claimingToken(plane);
    const text =
      "version: 2.1\njobs: {build: {machine: true, resource_class: a/b, steps: [run: 'true']}}\nworkflows: {w: {jobs: [hold: {type: approval}, build: {requires: [hold]}]}}\n";
    const { id, number } = Triggered.parse(
      (await ask(plane, "POST", operatorApi.pipelines, { config: text, repository: url })).json,
    );

    const early = await ask(plane, "POST", operatorApi.approve(String(number)), { job: "build" });
    const approved = await ask(plane, "POST", operatorApi.approve(String(number)), { job: "hold" });
    const cancelled = await ask(plane, "POST", operatorApi.cancel(String(number)), { reason: "enough" });
    const whole = linesOf(await ask(plane, "GET", operatorApi.watch(String(number))));
    const rest = linesOf(await ask(plane, "GET", `${operatorApi.watch(id)}?after=3&output=false`));

    expect(early).toMatchObject({ status: 409 });
    expect([approved.json, cancelled.json]).toEqual([
      { id, number },
      { id, number },
    ]);
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_line, index) => index + 1));
    expect(whole.at(-1)?.event.type).toBe("pipeline-ended");
    expect(whole.map(({ event }) => event)).toContainEqual(
      expect.objectContaining({ type: "job", status: "canceled", reason: "enough" }),
    );
    expect(rest).toEqual(whole.slice(3));
    for (const path of [operatorApi.watch("99"), operatorApi.watch("nonsense")])
      expect((await ask(plane, "GET", path)).status).toBe(404);
  });
});

function linesOf({ bytes }: { bytes: Buffer }): WatchLine[] {
  const lines = bytes.toString("utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => WatchLine.parse(JSON.parse(line)));
}
