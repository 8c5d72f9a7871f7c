import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { openStore } from "./store.ts";

test("a store is for its owner alone", async () => {
  const parent = await mkdtemp(join(tmpdir(), "cofferdam-sqlite-"));
  const directory = join(parent, "data");

  const store = await openStore({ directory, clock: systemClock, onCommit: () => undefined });

  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, "cofferdam.db"))).mode & 0o777).toBe(0o600);
  await store.close();
  await rm(parent, { recursive: true });
});
