import { expect, test } from "vitest";
import { operatedControlPlane, repositoryIn } from "../../../../test/fakes/operated-control-plane.ts";
import { ask, claimingToken, oneJob, trigger } from "../../../../test/fakes/operator.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";
import { operatorApi, RunnerItems, TaskList } from "../../../protocol/operator-api.ts";

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

test("agents are known by what they say, with what they run, until they are silent for 12 hours", async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  await using plane = await operatedControlPlane({ clock });
  const token = await claimingToken(plane);
  const { url } = await repositoryIn(plane.directory);
  await trigger(plane, { config: oneJob, repository: url });

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
  const many = oneJob.replace("machine: true", "machine: true, parallelism: 1000");
  for (let round = 0; round < 2; round++) await trigger(plane, { config: many, repository });

  const tasks = TaskList.parse((await ask(plane, "GET", `${operatorApi.tasks}?limit=10`)).json);

  expect(tasks).toMatchObject({ unclaimed: 2_000, running: 0 });
  expect(tasks.items.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
