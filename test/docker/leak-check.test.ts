import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { engineUnderTest } from "./engine-under-test.ts";
import { leaks, takeSnapshot } from "./leak-check.ts";

test("what was made and not removed is named: a container, its volume, a file; what is kept on purpose is not", async () => {
  const engine = await engineUnderTest();
  const signal = AbortSignal.timeout(60_000);
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-leak-"));
  const scope = { directories: [directory] };
  const before = await takeSnapshot(scope);
  const kept = {
    name: `cofferdam-kept-${process.pid}`,
    image: "busybox:latest",
    path: "/etc",
    labels: { "dev.cofferdam.role": "shared" },
  };
  const id = await engine.create(
    {
      name: `cofferdam-leak-${process.pid}`,
      labels: { "dev.cofferdam.test": "leak" },
      image: "busybox:latest",
      environment: {},
      workingDirectory: "/",
      limits: { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 10, openFiles: 100 },
      isolation: "standard",
      network: { mode: "none" },
      workspace: { path: "/w", owner: { uid: 0, gid: 0 }, medium: "disk", sizeBytes: 1 },
      shared: [],
    },
    signal,
  );
  try {
    await engine.ensureSharedVolume(kept, signal);
    await writeFile(join(directory, "left"), "");
    const found = leaks(before, await takeSnapshot(scope));
    expect(found).toEqual([
      expect.stringMatching(/^container [0-9a-f]{12} \/cofferdam-leak-\d+$/),
      expect.stringMatching(/^volume [0-9a-f]{64}$/),
      `file ${directory}/left`,
    ]);
  } finally {
    await engine.remove(id, signal);
    await engine.remove(kept.name, signal);
    await engine.removeObject({ kind: "volume", id: kept.name, labels: {}, running: false }, signal);
    await rm(directory, { recursive: true });
  }
  expect(leaks(before, await takeSnapshot({ directories: [] }))).toEqual([]);
});
