import { describe, expect, test } from "vitest";
import { newPipeline } from "../../../../test/fakes/pipelines.ts";
import {
  configOf,
  jobEnds,
  storyOf,
  temporaryControlPlane,
  testClass,
  testRoute,
} from "../../../../test/fakes/temporary-control-plane.ts";

describe("a pipeline", () => {
  test("goes through fan-out and fan-in", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(
      configOf(["a", { b: { requires: ["a"] } }, { c: { requires: ["a"] } }, { d: { requires: ["b", "c"] } }]),
    );
    const order: string[] = [];
    for (let index = 0; index < 4; index++) {
      const held = await plane.agent.claim(plane.token, { waitMs: 1_000 });
      order.push(held?.task.job.name ?? "");
      await held?.finish();
    }

    expect(order).toEqual(["a", "b", "c", "d"]);
    expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({
      a: "success",
      b: "success",
      c: "success",
      d: "success",
    });
  });

  test("waits for an approval", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf([{ hold: { type: "approval" } }, { build: { requires: ["hold"] } }]));
    const story = storyOf(plane.controlPlane, id);
    const waiting = plane.agent.claim(plane.token, { waitMs: 20_000 });
    let hold = "";
    for await (const event of plane.controlPlane.watch(id, { signal: AbortSignal.timeout(5_000), output: false }))
      if (event.type === "job" && event.status === "on_hold") {
        hold = event.id;
        break;
      }

    await plane.controlPlane.approve(hold, "me");
    await plane.controlPlane.approve(hold, "me");

    await (await waiting)?.finish();
    expect(jobEnds(await story)).toEqual({ hold: "success", build: "success" });
    await expect(plane.controlPlane.approve("x", "me")).rejects.toThrow("there is no job x");
  });

  test("fails what cannot run here with the reason, and goes on with the rest", async () => {
    await using plane = await temporaryControlPlane({
      route: (name) => (name === "none" ? undefined : { ...testRoute, queue: name ?? testClass }),
    });
    const config = configOf(["mac", "remote", "classless", "unregistered", "release"]);
    Object.assign(config.jobs, {
      mac: { macos: { xcode: "15" }, steps: [] },
      remote: { machine: true, steps: ["setup_remote_docker"] },
      classless: { machine: true, resource_class: "none", steps: [] },
      unregistered: { machine: true, resource_class: "a/b", steps: [] },
      release: { type: "release", plan_name: "p", steps: [] },
    });
    const { id } = await plane.start(config);

    const story = await storyOf(plane.controlPlane, id);

    const reasons = story.flatMap((event) =>
      event.type === "job" ? [`${event.status}: ${event.reason?.slice(0, 45)}`] : [],
    );
    expect(reasons).toEqual([
      "failed: this job is for macOS, which cannot run here.",
      "failed: setup_remote_docker cannot run here: tasks ge",
      'failed: there is no resource class "none" for machine',
      'failed: there is no resource class "a/b" here; create',
      "failed: jobs of the type release cannot run here: not",
    ]);
  });

  test("in which nothing runs ends at once", async () => {
    await using plane = await temporaryControlPlane();
    const { id } = await plane.start(configOf([{ a: { filters: { branches: { only: "other" } } } }]));

    const story = await storyOf(plane.controlPlane, id);

    expect(story.map((event) => event.type)).toEqual(["pipeline", "workflow", "pipeline-ended"]);
    expect(story[1]).toMatchObject({ status: "not_run", reason: "its filters leave no job in for branch main" });
  });

  test("keeps values of secrets out of what is not for the task", async () => {
    await using plane = await temporaryControlPlane();
    await plane.start(configOf(["build"]), {
      environment: { KEY: "hush-hush", NAME: "n" },
      secretNames: ["KEY", "OTHER"],
    });

    const held = await plane.agent.claim(plane.token);

    expect(held?.task.work.secrets).toEqual(["hush-hush"]);
    expect(held?.task.work.environment).toMatchObject({ KEY: "hush-hush", NAME: "n" });
  });
});

test("a pipeline of a thousand jobs is made and begun", async () => {
  await using plane = await temporaryControlPlane();
  const names = Array.from({ length: 1000 }, (_unused, index) => `job-${index}`);

  const { id } = await plane.controlPlane.createPipeline(newPipeline(configOf(names)));

  expect((await plane.agent.claim(plane.token))?.task.pipeline.id).toBe(id);
});
