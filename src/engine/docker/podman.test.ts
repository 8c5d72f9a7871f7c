import { expect, test } from "vitest";
import type { ContainerPlan } from "../engine.ts";
import { createBody } from "./create-body.ts";
import { podmanBody } from "./podman.ts";

const plan: ContainerPlan = {
  name: "task",
  labels: {},
  image: "busybox",
  environment: {},
  limits: { memoryBytes: 1 << 28, cpus: 1, pids: 64, openFiles: 1024 },
  isolation: "strict",
  network: { mode: "none" },
  workspace: { path: "/work", owner: { uid: 1, gid: 1 }, medium: "disk", sizeBytes: 1 << 20 },
  shared: [{ volume: "agent", path: "/opt/agent" }],
};

function bodyOf(changes: Partial<ContainerPlan> = {}): Record<string, unknown> {
  const changed = { ...plan, ...changes };
  const body = podmanBody(changed, createBody(changed, { takesSeccomp: false })) as { HostConfig: object };
  return { ...body.HostConfig };
}

test("names volumes in a way in which Podman heeds that they are read-only, and not to be filled", () => {
  const { Binds, Mounts } = bodyOf();

  expect(Binds).toEqual(["agent:/opt/agent:ro,nocopy", "task.workspace:/work:rw,nocopy"]);
  expect(Mounts).toBeUndefined();
});

test("refuses a path that would be read as options", () => {
  expect(() => bodyOf({ shared: [{ volume: "agent", path: "/opt:rw" }] })).toThrow("colon");
});

test("names every limit that Podman would else raise", () => {
  expect(bodyOf()["Ulimits"]).toEqual([
    { Name: "nofile", Soft: 1024, Hard: 1024 },
    { Name: "core", Soft: 0, Hard: 0 },
    { Name: "nproc", Soft: 32_768, Hard: 32_768 },
  ]);
});

test("bounds all that a strict container can write to, and lets a standard one be", () => {
  expect(Object.values(bodyOf()["Tmpfs"] as Record<string, string>)).toEqual(
    ["/tmp", "/var/tmp", "/run"].map(() => expect.stringMatching(/size=\d+/) as string),
  );
  expect(bodyOf({ isolation: "standard" })["Tmpfs"]).toBeUndefined();
});
