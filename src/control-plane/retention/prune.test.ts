import { existsSync } from "node:fs";
import { readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../../test/fakes/manual-clock.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../protocol/agent-api.ts";
import type { StoredArchive } from "../store/retention.ts";
import { archivesToRemove } from "./archives.ts";

const archive = (id: string, createdMs: number, more: Partial<StoredArchive> = {}): StoredArchive => ({
  kind: "cache",
  id,
  blob: id,
  sizeBytes: 10,
  createdMs,
  inUse: false,
  ...more,
});
const removed = (archives: StoredArchive[], maxBytes = 1000) =>
  archivesToRemove(archives, { maxAgeMs: 100, maxBytes, nowMs: 200 }).map(({ id }) => id);

test("caches and workspaces go that are too old, and then the oldest until the rest fits", () => {
  expect(removed([archive("old", 99), archive("a", 100), archive("b", 150)])).toEqual(["old"]);
  expect(removed([archive("a", 110), archive("b", 150), archive("c", 160)], 20)).toEqual(["a"]);
});

test("what a running pipeline may need stays, however old", () => {
  expect(removed([archive("a", 1, { inUse: true }), archive("b", 150)], 5)).toEqual(["b"]);
});

test("keeps the newest pipelines, and all that have not ended", async () => {
  await using plane = await temporaryControlPlane();
  const data = join(plane.directory, "data");
  const running = await plane.start(configOf(["build"]));
  const held = await plane.agent.claim(plane.token);
  const ended = [];
  for (let count = 0; count < 3; count++) {
    ended.push(await plane.start(configOf(["build"])));
    const task = await plane.agent.claim(plane.token);
    await task?.call("PUT", `${agentApi.artifacts}?path=a`, { body: "x" });
    await task?.finish("success", "said");
  }
  const [gone, kept] = ended;

  await plane.controlPlane.prune({ keepPipelines: 2, maxAgeMs: 1e9, maxBytes: 1e9 }, new AbortController().signal);

  await expect(storyOf(plane.controlPlane, gone?.id ?? "")).rejects.toThrow("there is no pipeline");
  expect(existsSync(join(data, `artifacts/${gone?.number}`))).toBe(false);
  expect(jobEnds(await storyOf(plane.controlPlane, kept?.id ?? ""))).toEqual({ build: "success" });
  expect(existsSync(join(data, `artifacts/${kept?.number}`))).toBe(true);
  await held?.finish();
  expect(jobEnds(await storyOf(plane.controlPlane, running.id))).toEqual({ build: "success" });
});

test("a control plane that is told what to keep looks after it by itself", async () => {
  const clock = new ManualClock("2026-01-01T00:00:00Z");
  const retention = { keepPipelines: 1, maxAgeMs: 1e9, maxBytes: 1e9 };
  await using plane = await temporaryControlPlane({ clock, retention });
  const pipelines = [];
  for (let count = 0; count < 2; count++) {
    pipelines.push(await plane.start(configOf(["build"])));
    await (await plane.agent.claim(plane.token))?.finish("success", "said");
  }

  await clock.set("2026-01-01T01:00:00Z");

  const [gone, kept] = pipelines.map(({ id }) => storyOf(plane.controlPlane, id));
  await expect(gone).rejects.toThrow("there is no pipeline");
  expect(jobEnds((await kept) ?? [])).toEqual({ build: "success" });
});

test("removes uploads whose writer was killed, and not those that are under way", async () => {
  await using plane = await temporaryControlPlane();
  const incoming = join(plane.directory, "data", "incoming");
  for (const name of ["abandoned", "under-way"]) await writeFile(join(incoming, name), "half");
  await utimes(join(incoming, "abandoned"), 0, 0);

  await plane.controlPlane.prune({ keepPipelines: 2, maxAgeMs: 1e9, maxBytes: 1e9 }, new AbortController().signal);

  expect(await readdir(incoming)).toEqual(["under-way"]);
});

test("ends what agents that are gone for good have left, and takes their class away", async () => {
  await using plane = await temporaryControlPlane();
  const { id } = await plane.start(configOf(["build", { next: { requires: ["build"] } }]));
  await plane.agent.claim(plane.token);
  const [name = ""] = await plane.controlPlane.resourceClasses("test/");

  await plane.controlPlane.retireResourceClass(name, "the run was killed");

  expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "canceled", next: "canceled" });
  expect(await plane.controlPlane.resourceClasses("test/")).toEqual([]);
});
