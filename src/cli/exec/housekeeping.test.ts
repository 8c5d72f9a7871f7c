import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  configOf,
  jobEnds,
  storyOf,
  temporaryControlPlane,
  testRoute,
} from "../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../lib/clock.ts";
import { retireDeadRuns, tidyUp } from "./housekeeping.ts";

test("cancels what a killed run has left, and nothing of a run whose socket answers", async () => {
  await using plane = await temporaryControlPlane({ route: (name) => ({ ...testRoute, queue: name ?? "" }) });
  const { controlPlane, directory } = plane;
  for (const name of ["local/exec-dead", "local/exec-alive"]) await controlPlane.putResourceClass({ name });
  const server = createServer().listen(join(directory, "exec-alive.sock"));
  const dead = await plane.start(configOf(["build"], { resource_class: "local/exec-dead" }));
  const alive = await plane.start(configOf(["build"], { resource_class: "local/exec-alive" }));

  await retireDeadRuns(controlPlane, {
    classPrefix: "local/exec-",
    ownClass: "local/exec-own",
    runtimeDirectory: directory,
  });
  server.close();

  expect(jobEnds(await storyOf(controlPlane, dead.id))).toEqual({ build: "canceled" });
  expect(await controlPlane.resourceClasses("local/")).toEqual(["local/exec-alive"]);
  await controlPlane.cancelPipeline(alive.id, "the test is over");
});

test("keeps twenty pipelines", async () => {
  await using plane = await temporaryControlPlane();
  const runs = [];
  for (let count = 0; count < 22; count++) runs.push(await plane.start({ jobs: {}, workflows: {} }));

  await tidyUp(plane.controlPlane, systemClock).finish();

  await expect(storyOf(plane.controlPlane, runs[1]?.id ?? "")).rejects.toThrow("there is no pipeline");
  expect(await storyOf(plane.controlPlane, runs[2]?.id ?? "")).toHaveLength(2);
});
