import { expect, test } from "vitest";
import { aPlan } from "../../../test/fakes/containers.ts";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { type Engine, EngineError } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { ImageStore } from "../images/image-store.ts";
import type { CollectRules } from "./choose.ts";
import { DiskKeeper, type DiskOptions } from "./keeper.ts";

const signal = new AbortController().signal;
const gigabyte = 1_000_000_000;
const hour = 3_600_000;

/** A disk of 100 GB on which each image takes 10, the dummy's built-in ones next to nothing, and all the rest `otherBytes`. */
async function stage(rules: Partial<DiskOptions & CollectRules> = {}, more: string[] = []) {
  const sizeBytes = 10 * gigabyte;
  const names = ["old", "middle", "young"];
  const pullable = Object.fromEntries([...names, ...more].map((name) => [name, { pull: "works" as const, sizeBytes }]));
  const dummy = createDummyEngine({ images: { ...pullable, foreign: { sizeBytes } } });
  const engine: Engine = {
    ...dummy,
    pull: async (reference, options) => {
      if ((await freeBytes()) < sizeBytes) throw new EngineError("disk-full", "no space left on device");
      return await dummy.pull(reference, options);
    },
  };
  const freeBytes = async () =>
    (await dummy.images(signal)).reduce((free, image) => free - image.sizeBytes, 100 * gigabyte - world.otherBytes);
  const world = { nowMs: 0, otherBytes: 40 * gigabyte };
  const clock = { ...systemClock, monotonic: () => world.nowMs };
  const images = new ImageStore({ engine, clock, random: () => 0, marks: true });
  const logged: string[] = [];
  const write = (_facts: object, message: string) => logged.push(message);
  const keeper = new DiskKeeper({
    engine,
    images,
    clock,
    log: { debug: write, info: write, warn: write, error: write },
    disk: {
      probe: async () => ({ freeBytes: await freeBytes(), totalBytes: 100 * gigabyte }),
      highPercent: 90,
      lowPercent: 75,
      floorBytes: 5 * gigabyte,
      imageMaxAgeMs: 1_000 * hour,
      foreignImages: false,
      ...rules,
    },
  });
  for (const reference of names) {
    await images.ensure({ reference, signal, onProgress: () => {} });
    world.nowMs += hour;
  }
  const present = async () => {
    const ids = (await engine.images(signal)).map(({ id }) => id.replace("sha256:dummy:", ""));
    return [...names, "foreign"].filter((name) => ids.includes(name));
  };
  return { engine, images, keeper, world, present, logged };
}

test("images go from the high mark on, the longest unused first, until the low mark", async () => {
  const { keeper, world, present } = await stage();

  world.otherBytes = 45 * gigabyte;
  await keeper.look(signal);
  expect(await present()).toEqual(["old", "middle", "young", "foreign"]);
  world.otherBytes = 51 * gigabyte;
  await keeper.look(signal);

  expect(await present()).toEqual(["young", "foreign"]);
});

test("an image that a container was made of stays, as does one that was just asked for", async () => {
  const { engine, images, keeper, world, present } = await stage();
  const { id } = await images.ensure({ reference: "old", signal, onProgress: () => {} });
  world.nowMs += hour;
  await engine.create(aPlan({ image: id }), signal);
  await images.ensure({ reference: "middle", signal, onProgress: () => {} });

  world.otherBytes = 60 * gigabyte;
  await keeper.look(signal);

  expect(await present()).toEqual(["old", "middle", "foreign"]);
});

test("what somebody else brought stays, unless the operator lets it go", async () => {
  const careful = await stage();
  careful.world.otherBytes = 99 * gigabyte;
  await careful.keeper.look(signal);
  expect(await careful.present()).toEqual(["foreign"]);

  const allowed = await stage({ foreignImages: true });
  allowed.world.otherBytes = 99 * gigabyte;
  await allowed.keeper.look(signal);
  expect(await allowed.present()).toEqual([]);
});

test("images over the budget or too old go though there is room", async () => {
  const small = await stage({ imagesBytes: 25 * gigabyte });
  const stop = new AbortController();
  const kept = small.keeper.keep(stop.signal);
  await expect.poll(small.present).toEqual(["middle", "young", "foreign"]);
  stop.abort();
  await kept;

  const strict = await stage({ imageMaxAgeMs: 2.5 * hour });
  const over = new AbortController();
  const watched = strict.keeper.keep(over.signal);
  await expect.poll(strict.present).toEqual(["middle", "young", "foreign"]);
  over.abort();
  await watched;
});

test("what another agent of the host pulled is as old as it is here, however long this agent runs", async () => {
  const { engine, keeper, world, present } = await stage({ imageMaxAgeMs: 2.5 * hour, lookMs: 1 }, ["theirs"]);
  const stop = new AbortController();
  const kept = keeper.keep(stop.signal);
  await expect.poll(present).toEqual(["middle", "young", "foreign"]);
  const neighbour = new ImageStore({ engine, clock: systemClock, random: () => 0, marks: true });
  await neighbour.ensure({ reference: "theirs", signal, onProgress: () => {} });

  world.nowMs += 10 * hour;

  await expect.poll(present).toEqual(["foreign"]);
  expect(await engine.image("theirs", signal)).toBeDefined();
  world.nowMs += 10 * hour;
  await expect.poll(async () => await engine.image("theirs", signal)).toBeUndefined();
  stop.abort();
  await kept;
});

test("no task is claimed below the floor, with that said, until there is room again", async () => {
  const { keeper, world, logged } = await stage();
  await keeper.mayClaim(signal);
  world.otherBytes = 96 * gigabyte;
  await keeper.look(signal);

  let claims = 0;
  const claim = keeper.mayClaim(signal).then(() => claims++);
  expect(keeper.state.problem).toMatch(/^the engine's disk has .* free, and 4.7 GiB have to be\. Make room on it$/);
  expect(logged.join()).toContain("taking no tasks: the engine's disk has");
  world.otherBytes = 84.9 * gigabyte;
  await keeper.look(signal);
  expect(claims).toBe(0);
  world.otherBytes = 80 * gigabyte;
  await keeper.look(signal);
  await claim;

  expect(claims).toBe(1);
  expect(logged.join()).toContain("there is room on the disk again");
});

test("a claim that waits for room ends with its signal", async () => {
  const { keeper, world } = await stage();
  world.otherBytes = 99.9 * gigabyte;
  const abort = new AbortController();
  const waiting = keeper.mayClaim(abort.signal);

  abort.abort(new Error("draining"));

  await expect(waiting).rejects.toThrow("draining");
});

test("a pull that finds the disk full is tried once more when something could be removed", async () => {
  const lines: string[] = [];
  const { engine, images, world, present } = await stage({}, ["later"]);
  const wanted = { reference: "later", signal, onProgress: (line: string) => lines.push(line) };

  world.otherBytes = 60 * gigabyte;
  await expect(images.ensure(wanted)).resolves.toBeDefined();
  expect(lines.join()).toContain("The disk was full. Removed images that nobody uses, pulling again");
  expect(await present()).toEqual(["foreign"]);

  await engine.removeImage("later", signal);
  world.otherBytes = 91 * gigabyte;
  await expect(images.ensure(wanted)).rejects.toMatchObject({
    code: "disk-full",
    message: expect.stringContaining("make room on it") as string,
  });
});

test("an engine that runs out of space is looked into at once, and nothing is claimed before that is done", async () => {
  const { keeper, world, present } = await stage();
  const mayClaim = await keeper.mayClaim(signal);
  world.nowMs += hour;
  world.otherBytes = 69 * gigabyte;

  keeper.ranOut({ pulling: false });

  expect(mayClaim.aborted).toBe(true);
  expect(keeper.state.problem).toBe("the engine says that its disk is full");
  const again = await keeper.mayClaim(signal);
  expect(again.aborted).toBe(false);
  expect(await present()).toEqual(["foreign"]);
});

test("below the floor, with nothing to remove, nothing is claimed until somebody has made room", async () => {
  const { keeper, world, logged } = await stage();
  world.otherBytes = 99.9 * gigabyte;
  const stop = new AbortController();
  keeper.ranOut({ pulling: true });
  const mayClaim = keeper.mayClaim(signal);
  await expect.poll(() => keeper.state.problem).toMatch(/^the engine's disk has .* free, and 4.7 GiB have to be/);

  world.otherBytes = 10 * gigabyte;
  const kept = keeper.keep(stop.signal);
  await mayClaim;

  expect(logged.filter((line) => line.includes("the engine has run out of space"))).toHaveLength(1);
  expect(logged.join()).toContain("taking no tasks: the engine's disk has");
  stop.abort();
  await kept;
});

test("an engine that has no space while its disk has is believed for a while, but not for an image that is too large", async () => {
  const { keeper, world } = await stage();
  await keeper.mayClaim(signal);
  for (let count = 0; count < 3; count++) await keeper.makeRoom(signal);

  keeper.ranOut({ pulling: true });
  await keeper.mayClaim(signal);
  keeper.ranOut({ pulling: false });
  await expect.poll(() => keeper.state.problem).toMatch(/though .* are free.* inodes and quotas/);
  world.nowMs += 29_000;
  await keeper.look(signal);
  const before = keeper.state.problem;
  world.nowMs += 2_000;
  await keeper.look(signal);

  expect(before).toBeDefined();
  expect(keeper.state.problem).toBeUndefined();
});
