import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDockerEngine } from "../../../src/engine/docker/index.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { ImageStore, type ImageStoreOptions } from "../../../src/launch-agent/images/image-store.ts";
import { namesOf } from "../../../src/launch-agent/images/marks.ts";
import { RegistryAuth } from "../../../src/launch-agent/images/registry-auth.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { addressUnderTest } from "../engine-under-test.ts";
import { leavesNothingBehind } from "../leaves-nothing-behind.ts";
import { account, startTestRegistry, type TestRegistry } from "./registry.ts";
import { removeNewImages } from "./remove-new-images.ts";

const signal = new AbortController().signal;
const quiet = { signal, onProgress: () => {} };
const wrong = { username: "alice", password: "guessed" };

leavesNothingBehind();

let engine: Engine;
let registry: TestRegistry;
let cleanUp: () => Promise<void>;

beforeAll(async () => {
  registry = await startTestRegistry();
});

afterAll(async () => await registry[Symbol.asyncDispose]());

beforeEach(async () => {
  engine = createDockerEngine({ address: await addressUnderTest(), pullSilenceMs: 2_000 });
  cleanUp = await removeNewImages(engine);
});

afterEach(async () => await cleanUp());

function storeOf(options: Partial<ImageStoreOptions> = {}): ImageStore {
  return new ImageStore({ engine, clock: systemClock, random: () => 0, pauseMs: 1, marks: true, ...options });
}

/** A new image of the open registry, under the name by which it fails like this. */
async function faulty(fault: string): Promise<string> {
  const repository = `${fault.replaceAll(/[^a-z]/g, "")}-${randomUUID().slice(0, 8)}`;
  await registry.push(`${registry.open}/${repository}:1`);
  return `${registry.faulty}/${fault}/${repository}:1`;
}

async function privateImage(): Promise<string> {
  const name = `${registry.closed}/team/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);
  return name;
}

test("an image comes from a real registry, and how far it is is told", async () => {
  const name = `${registry.open}/app-${randomUUID().slice(0, 8)}:1`;
  const digest = await registry.push(name);
  const lines: string[] = [];

  const image = await storeOf().ensure({ reference: name, signal, onProgress: (line) => lines.push(line) });

  expect(image.digests.join()).toContain(digest);
  expect(lines.join("\n")).toMatch(/\d of \d layers/);
});

describe("the registry's answer", () => {
  test("404 is the config's fault", async () => {
    const missing = storeOf().ensure({ reference: `${registry.open}/missing:1`, ...quiet });

    await expect(missing).rejects.toMatchObject({
      code: "image-not-found",
      message: expect.stringContaining("Check the image's name and tag") as string,
    });
  });

  test.each([
    ["without credentials", undefined],
    ["with wrong ones", wrong],
  ])("401 %s is the config's fault", async (_how, credentials) => {
    const name = await privateImage();

    const denied = storeOf().ensure({ reference: name, ...(credentials && { credentials }), ...quiet });

    await expect(denied).rejects.toMatchObject({
      code: "image-denied",
      message: expect.not.stringContaining("guessed") as string,
    });
  });

  test.each([
    ["429", "busy", "registry-busy"],
    ["500", "broken", "registry"],
    ["no answer at all", "hang", "registry"],
    ["half a layer and no more", "stall", "registry"],
    ["a layer with another content", "corrupt", "image-corrupt"],
  ])("%s is infrastructure's fault, told after three tries", async (_what, fault, code) => {
    const name = await faulty(fault);

    await expect(storeOf().ensure({ reference: name, ...quiet })).rejects.toMatchObject({
      code,
      message: expect.stringContaining("tried 3 times") as string,
    });
  });

  test.each(["busy2", "broken2", "hang1", "stall1", "corrupt1", "short1"])(
    "%s passes, and the image is here",
    async (fault) => {
      const name = await faulty(fault);

      await expect(storeOf().ensure({ reference: name, ...quiet })).resolves.toBeDefined();
    },
  );
});

describe("an image that many wait for", () => {
  test("is pulled once", async () => {
    const name = await faulty("plain");
    const store = storeOf();
    const asked = (await registry.requests()).length;

    await Promise.all(Array.from({ length: 10 }, () => store.ensure({ reference: name, ...quiet })));

    const layers = (await registry.requests()).slice(asked).filter((line) => line.includes("/blobs/"));
    expect(new Set(layers).size).toBe(layers.length);
  });

  test("is given up when nobody waits any more, and can be had again", async () => {
    const name = await faulty("stall1");
    const abort = new AbortController();
    const patient = createDockerEngine({ address: await addressUnderTest() });
    const store = storeOf({ engine: patient });

    const waiting = store.ensure({ reference: name, signal: abort.signal, onProgress: () => {} });
    await expect
      .poll(async () =>
        (await registry.requests()).some((line) => line.includes(`${name.split("/")[2]?.split(":")[0]}/blobs`)),
      )
      .toBe(true);
    abort.abort(new Error("cancelled"));

    await expect(waiting).rejects.toThrow("cancelled");
    await expect(store.ensure({ reference: name, ...quiet })).resolves.toBeDefined();
  });
});

describe("a private image", () => {
  test("comes with the config's credentials, and stays closed to everybody else on the host", async () => {
    const name = await privateImage();
    const { digests } = await storeOf().ensure({ reference: name, credentials: account, ...quiet });

    const spellings = [name, ...digests];
    for (const [policy, reference] of spellings.flatMap((spelling) => [
      ["if-not-present", spelling] as const,
      ["always", spelling] as const,
    ])) {
      for (const credentials of [undefined, wrong]) {
        const other = storeOf().ensure({ reference, policy, ...(credentials && { credentials }), ...quiet });
        await expect(other).rejects.toMatchObject({ code: "image-denied" });
      }
      await expect(
        storeOf().ensure({ reference: name, policy, credentials: account, ...quiet }),
      ).resolves.toBeDefined();
    }
    await expect(storeOf().ensure({ reference: name, policy: "never", ...quiet })).rejects.toThrow("with credentials");
  });

  test("comes with the agent's credentials", async () => {
    const name = await privateImage();
    const auth = new RegistryAuth([[registry.closed, account]]);

    await expect(storeOf({ auth }).ensure({ reference: name, ...quiet })).resolves.toBeDefined();
    await expect(storeOf().ensure({ reference: name, ...quiet })).rejects.toMatchObject({ code: "image-denied" });
  });
});

test("what was pulled says so by names that go with it", async () => {
  const name = `${registry.open}/app-${randomUUID().slice(0, 8)}:1`;
  await registry.push(name);

  const { id } = await storeOf().ensure({ reference: name, ...quiet });
  const image = await engine.image(id, signal);

  expect(image?.tags.filter((tag) => tag.startsWith("cofferdam.local/pulled:"))).toHaveLength(1);
  expect(image && namesOf(image)).toEqual([name]);
});
