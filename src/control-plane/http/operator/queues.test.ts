import { expect, test } from "vitest";
import { operatedControlPlane, repositoryIn } from "../../../../test/fakes/operated-control-plane.ts";
import { systemClock } from "../../../lib/clock.ts";
import { NewTokenItem, operatorApi, TaskList } from "../../../protocol/operator-api.ts";

const config =
  "version: 2.1\njobs: {build: {machine: true, parallelism: 3, resource_class: a/b, steps: [run: 'true']}}\nworkflows: {w: {jobs: [build]}}\n";

test("an operator sees how many tasks wait in each queue, and for how long", async () => {
  let aheadMs = 0;
  await using plane = await operatedControlPlane({
    clock: { ...systemClock, now: () => 1_000_000 + aheadMs },
  });
  const { http, token } = plane;
  for (const resource_class of ["a/b", "a/idle"])
    await http.call("POST", operatorApi.classes, { token, json: { resource_class } });
  const made = await http.call("POST", operatorApi.tokens, { token, json: { resource_class: "a/b", nickname: "n" } });
  const { url: repository } = await repositoryIn(plane.directory);
  await http.call("POST", operatorApi.pipelines, { token, json: { config, repository } });
  aheadMs = 4_000;
  await http.claim(NewTokenItem.parse(made.json).token);
  aheadMs = 10_000;

  const metrics = await http.call("GET", operatorApi.metrics, { token });
  const tasks = TaskList.parse((await http.call("GET", operatorApi.tasks, { token })).json);

  expect(metrics.headers["content-type"]).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(metrics.bytes.toString().split("\n")).toEqual(
    expect.arrayContaining([
      'cofferdam_queue_tasks{resource_class="a/b"} 2',
      'cofferdam_queue_oldest_wait_seconds{resource_class="a/b"} 10',
      'cofferdam_queue_running_tasks{resource_class="a/b"} 1',
      'cofferdam_queue_tasks{resource_class="a/idle"} 0',
      'cofferdam_queue_oldest_wait_seconds{resource_class="a/idle"} 0',
    ]),
  );
  expect(tasks.items.map(({ status, waited_ms }) => [status, waited_ms])).toEqual([
    ["running", 4_000],
    ["queued", 10_000],
    ["queued", 10_000],
  ]);
});
