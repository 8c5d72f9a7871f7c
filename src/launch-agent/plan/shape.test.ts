import { expect, test } from "vitest";
import type { ContainerPlan } from "../../engine/engine.ts";
import { shapeOf } from "./shape.ts";

const plan: ContainerPlan = {
  name: "a",
  labels: { task: "1" },
  image: "sha256:1",
  entrypoint: ["/x"],
  environment: { A: "1", B: "2" },
  workingDirectory: "/w",
  limits: { memoryBytes: 1, cpus: 1, pids: 1, openFiles: 1 },
  isolation: "standard",
  network: { mode: "bridge" },
  workspace: { path: "/w", owner: { uid: 0, gid: 0 }, medium: "disk", sizeBytes: 1 },
  shared: [{ volume: "v", path: "/opt" }],
};

test("is the same for the same container, whatever it is called and in whatever order it is written", () => {
  const { environment: _environment, ...rest } = plan;
  const same = { environment: { B: "2", A: "1" }, ...rest, name: "b", labels: {} };

  expect(shapeOf(same)).toBe(shapeOf(plan));
});

test.each<Partial<ContainerPlan>>([
  { image: "sha256:2" },
  { entrypoint: ["/y"] },
  { environment: { A: "1" } },
  { user: "1:1" },
  { workingDirectory: "/" },
  { hostname: "h" },
  { localNames: ["db"] },
  { limits: { ...plan.limits, memoryBytes: 2 } },
  { limits: { ...plan.limits, cpus: 2 } },
  { isolation: "strict" },
  { network: { mode: "none" } },
  { network: { mode: "join", container: "c" } },
  { workspace: { path: "/w", owner: { uid: 1, gid: 0 }, medium: "disk", sizeBytes: 1 } },
  { shared: [] },
])("is another one with %j", (change) => {
  expect(shapeOf({ ...plan, ...change })).not.toBe(shapeOf(plan));
});
