import { describe, expect, test } from "vitest";
import { anImage } from "../../../test/fakes/containers.ts";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { type Engine, EngineError, type EngineErrorCode, type Image } from "../../engine/engine.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { ImageStore, type ImageStoreOptions } from "./image-store.ts";
import { RegistryAuth } from "./registry-auth.ts";

const signal = new AbortController().signal;

function storeOf(engine: Engine, clock: Clock = systemClock): ImageStore {
  return new ImageStore({ engine, clock, random: () => 0 });
}

/** An engine whose one pull ends when the test says so. */
function slowPull() {
  const { promise, resolve, reject } = Promise.withResolvers<Image>();
  const pulls: { signal: AbortSignal; tell: (line: string) => void }[] = [];
  const engine: Engine = {
    ...createDummyEngine(),
    image: async () => undefined,
    pull: async (_reference, options) => {
      pulls.push({ signal: options.signal, tell: options.onProgress ?? (() => {}) });
      options.signal.addEventListener("abort", () => reject(new EngineError("aborted", "given up")), { once: true });
      return await promise;
    },
  };
  return { engine, pulls, resolve };
}

const image = anImage({ id: "sha256:1" });

test("pulls once for all tasks that wait for the same image, and shows each the progress", async () => {
  const { engine, pulls, resolve } = slowPull();
  const store = storeOf(engine);
  const shown: string[] = [];
  const wait = (who: string) =>
    store.ensure({ reference: "node:24", signal, onProgress: (line) => shown.push(`${who} ${line}`) });

  const both = [wait("a"), wait("b")];
  await expect.poll(() => pulls.length).toBe(1);
  pulls[0]?.tell("50 %");
  resolve(image);

  await expect(Promise.all(both)).resolves.toEqual([image, image]);
  expect(shown).toEqual(["a 50 %", "b 50 %"]);
});

test("does not share a pull between different credentials", async () => {
  const { engine, pulls, resolve } = slowPull();
  const store = storeOf(engine);
  const wanted = { reference: "private/x", signal, onProgress: () => {} };

  const both = [
    store.ensure({ ...wanted, credentials: { username: "a", password: "1" } }),
    store.ensure({ ...wanted, credentials: { username: "b", password: "1" } }),
  ];
  await expect.poll(() => pulls.length).toBe(2);
  resolve(image);

  await Promise.all(both);
});

test("goes on pulling while somebody waits, and gives it up when nobody does", async () => {
  const { engine, pulls } = slowPull();
  const store = storeOf(engine);
  const first = new AbortController();
  const second = new AbortController();
  const waits = [first, second].map((abort) =>
    store
      .ensure({ reference: "node:24", signal: abort.signal, onProgress: () => {} })
      .catch((error: Error) => error.message),
  );
  await expect.poll(() => pulls.length).toBe(1);

  first.abort(new Error("first cancelled"));
  await expect(waits[0]).resolves.toBe("first cancelled");
  expect(pulls[0]?.signal.aborted).toBe(false);
  second.abort(new Error("second cancelled"));
  await expect(waits[1]).resolves.toBe("second cancelled");

  expect(pulls[0]?.signal.aborted).toBe(true);
});

test("believes what it read for a burst of tasks, not for ever", async () => {
  let nowMs = 0;
  const engine = createDummyEngine();
  const store = storeOf(engine, { ...systemClock, monotonic: () => nowMs });

  await store.present("dummy", signal);
  await store.present("dummy", signal);
  expect(engine.calls).toEqual(["image docker.io/library/dummy:latest"]);
  nowMs = 10_001;
  await store.present("dummy", signal);

  expect(engine.calls).toHaveLength(2);
});

const contentDigest = `sha256:${"c".repeat(64)}`;
const never = { signal, onProgress: () => {} };
const alice = { username: "alice", password: "1" };
const mallory = { username: "mallory", password: "2" };

/** A registry that gives `registry.example/app` to alice only. */
function withPrivateImage(rules: Partial<ImageStoreOptions> = {}) {
  const name = "registry.example/app";
  const dummy = createDummyEngine({ images: { [name]: { pull: "works", digests: [`${name}@${contentDigest}`] } } });
  const asked: string[] = [];
  const engine: Engine = {
    ...dummy,
    pull: async (reference, options) => {
      asked.push(`pull ${reference}`);
      if (options.credentials?.username !== "alice") throw new EngineError("image-denied", "unauthorized");
      return await dummy.pull(reference, options);
    },
    checkAccess: async (reference, options) => {
      asked.push(`check ${reference}`);
      if (options.credentials?.username !== "alice") throw new EngineError("image-denied", "unauthorized");
    },
  };
  const makeStore = () =>
    new ImageStore({ engine, clock: systemClock, random: () => 0, pauseMs: 0, marks: true, ...rules });
  return { name, dummy, asked, makeStore, store: makeStore() };
}

describe("the pull policy", () => {
  test("always asks the registry, also for what is here", async () => {
    const engine = createDummyEngine();
    const store = storeOf(engine);

    await store.ensure({ reference: "dummy", policy: "always", ...never });
    await store.ensure({ reference: "dummy", policy: "always", ...never });

    expect(engine.calls.filter((call) => call.startsWith("pull"))).toHaveLength(2);
  });

  test("if-not-present asks only for what is not here", async () => {
    const engine = createDummyEngine();
    const store = storeOf(engine);

    await store.ensure({ reference: "dummy", ...never });
    await store.ensure({ reference: "dummy-absent", ...never });

    expect(engine.calls.filter((call) => call.startsWith("pull"))).toEqual([
      "pull docker.io/library/dummy-absent:latest",
    ]);
  });

  test("never asks nobody, and says what is wrong where that would be needed", async () => {
    const engine = createDummyEngine();
    const store = storeOf(engine);

    await expect(store.ensure({ reference: "dummy", policy: "never", ...never })).resolves.toBeDefined();
    await expect(store.ensure({ reference: "dummy-absent", policy: "never", ...never })).rejects.toThrow(
      "image docker.io/library/dummy-absent:latest is not on this host, and would have to be pulled, but the pull policy",
    );
    expect(engine.calls.filter((call) => call.startsWith("pull"))).toEqual([]);
  });
});

describe("an image that was pulled with credentials", () => {
  test("is not given to others who ask for it", async () => {
    const { name, store, makeStore } = withPrivateImage();
    await store.ensure({ reference: name, credentials: alice, ...never });

    for (const credentials of [undefined, mallory]) {
      const wanted = { reference: name, ...(credentials && { credentials }), ...never };
      await expect(store.ensure(wanted)).rejects.toMatchObject({ code: "image-denied" });
      // As another agent of the host, or the same one after a restart.
      await expect(makeStore().ensure(wanted)).rejects.toMatchObject({ code: "image-denied" });
      await expect(store.ensure({ ...wanted, policy: "never" })).rejects.toThrow("was pulled with credentials");
    }
  });

  test("is asked for by its content, once an hour", async () => {
    const { name, asked, makeStore } = withPrivateImage();
    await makeStore().ensure({ reference: name, credentials: alice, ...never });

    const later = makeStore();
    await later.ensure({ reference: name, credentials: alice, ...never });
    await later.ensure({ reference: name, credentials: alice, ...never });

    expect(asked).toEqual([`pull ${name}:latest`, `check ${name}@${contentDigest}`]);
  });

  test("is asked for, and not taken from the engine, when it is named by its digest", async () => {
    const { name, store } = withPrivateImage();
    await store.ensure({ reference: name, credentials: alice, ...never });

    for (const policy of ["always", "if-not-present"] as const) {
      const byDigest = { reference: `${name}@${contentDigest}`, policy, ...never };
      await expect(store.ensure(byDigest)).rejects.toMatchObject({ code: "image-denied" });
      await expect(store.ensure({ ...byDigest, credentials: alice })).resolves.toBeDefined();
    }
  });

  test("cannot be had by the name of its mark, nor by its id", async () => {
    const { name, dummy, store } = withPrivateImage();
    const { id } = await store.ensure({ reference: name, credentials: alice, ...never });
    const mark = (await dummy.image(name, signal))?.tags.find((tag) => tag.includes("private"));

    expect(mark).toBeDefined();
    for (const reference of [mark ?? "", id, "sha256:" + "a".repeat(64)])
      await expect(store.ensure({ reference, ...never })).rejects.toMatchObject({ code: "bad-reference" });
  });

  test("is for everybody once the registry gave it to somebody without any", async () => {
    const engine = createDummyEngine({ images: { app: { pull: "works" } } });
    const store = new ImageStore({ engine, clock: systemClock, random: () => 0, marks: true });

    await store.ensure({ reference: "app", credentials: alice, ...never });
    await store.ensure({ reference: "app", ...never });
    const pulls = engine.calls.filter((call) => call.startsWith("pull")).length;
    await store.ensure({ reference: "app", credentials: mallory, ...never });

    expect(pulls).toBe(2);
    expect(engine.calls.filter((call) => call.startsWith("pull"))).toHaveLength(2);
  });

  test("is pulled with the agent's own credentials where it brings none", async () => {
    const auth = new RegistryAuth([["registry.example", alice]]);
    const { name, store } = withPrivateImage({ auth });

    await expect(store.ensure({ reference: name, ...never })).resolves.toBeDefined();
    await expect(store.ensure({ reference: name, credentials: mallory, ...never })).rejects.toMatchObject({
      code: "image-denied",
    });
  });
});

describe("a registry that fails", () => {
  function failing(code: EngineErrorCode, times: number) {
    const dummy = createDummyEngine();
    let left = times;
    const pull: Engine["pull"] = async (reference, options) => {
      if (left-- > 0) throw new EngineError(code, "it says no");
      return await dummy.pull(reference, options);
    };
    return new ImageStore({ engine: { ...dummy, pull }, clock: systemClock, random: () => 0, pauseMs: 0 });
  }

  test.each(["registry", "registry-busy", "image-corrupt"] as const)(
    "with %s is asked three times, and each time is told",
    async (code) => {
      const lines: string[] = [];
      const wanted = { reference: "dummy-absent", signal, onProgress: (line: string) => lines.push(line) };

      await expect(failing(code, 2).ensure(wanted)).resolves.toBeDefined();
      expect(lines.filter((line) => line.includes("Trying again"))).toHaveLength(2);
      await expect(failing(code, 3).ensure(wanted)).rejects.toMatchObject({
        code,
        message: expect.stringContaining("tried 3 times") as string,
      });
    },
  );

  test.each(["image-not-found", "image-denied", "wrong-architecture", "unreachable", "disk-full"] as const)(
    "with %s is not asked again",
    async (code) => {
      await expect(failing(code, 1).ensure({ reference: "dummy-absent", ...never })).rejects.toMatchObject({ code });
    },
  );

  test("is not waited for by anybody who has gone", async () => {
    const abort = new AbortController();
    const dummy = createDummyEngine();
    const pull: Engine["pull"] = async () => {
      throw new EngineError("registry", "down");
    };
    const engine = { ...dummy, pull };
    const store = new ImageStore({ engine, clock: systemClock, random: () => 0, pauseMs: 3_600_000 });
    const wanted = {
      reference: "dummy-absent",
      signal: abort.signal,
      onProgress: () => abort.abort(new Error("gone")),
    };

    await expect(store.ensure(wanted)).rejects.toThrow("gone");
  });
});
