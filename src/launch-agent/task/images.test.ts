import { expect, test } from "vitest";
import { createDummyEngine } from "../../engine/dummy/index.ts";
import { type Engine, EngineError, type Image } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { ImageStore } from "./images.ts";

const signal = new AbortController().signal;

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

const image: Image = {
  id: "sha256:1",
  architecture: "amd64",
  user: "",
  environment: {},
  entrypoint: [],
  command: [],
  labels: {},
};

test("pulls once for all tasks that wait for the same image, and shows each the progress", async () => {
  const { engine, pulls, resolve } = slowPull();
  const store = new ImageStore(engine, systemClock);
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
  const store = new ImageStore(engine, systemClock);
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
  const store = new ImageStore(engine, systemClock);
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
  const store = new ImageStore(engine, { ...systemClock, monotonic: () => nowMs });

  await store.present("dummy", signal);
  await store.present("dummy", signal);
  expect(engine.calls).toEqual(["image dummy"]);
  nowMs = 10_001;
  await store.present("dummy", signal);

  expect(engine.calls).toHaveLength(2);
});
