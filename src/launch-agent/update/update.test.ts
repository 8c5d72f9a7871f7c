import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../../test/fakes/manual-clock.ts";
import { createDummyEngine, type DummyEngine } from "../../engine/dummy/index.ts";
import type { Image } from "../../engine/engine.ts";
import type { ContainerCopy, OwnContainer, Replacer } from "../../engine/replacer.ts";
import { ImageStore } from "../images/image-store.ts";
import { keepUpToDate, type UpdateOptions } from "./update.ts";

const digest = (digit: number): string => `cofferdam/launch-agent@sha256:${String(digit).repeat(64)}`;
const never = new AbortController().signal;
const start = "2026-11-22T10:00:00Z";

const own: OwnContainer = {
  id: "0".repeat(64),
  name: "agent",
  running: true,
  imageReference: "docker.io/cofferdam/launch-agent:1.1.0",
  imageId: "sha256:1.1.0",
  labels: { "org.opencontainers.image.version": "1.1.0" },
  restartPolicy: "always",
  publishesPorts: false,
};

let clock: ManualClock;
let engine: DummyEngine;
let copies: ContainerCopy[];
let warnings: string[];
let stop: AbortController;
let running: Promise<void>;
let wanted: string | undefined;
let idle: boolean;

beforeEach(() => {
  clock = new ManualClock(start);
  const image = (version: string): Partial<Image> & { pull: "works" } => ({
    labels: { "org.opencontainers.image.version": version },
    pull: "works",
  });
  engine = createDummyEngine({
    images: {
      [digest(1)]: image("1.1.0"),
      [digest(2)]: image("1.2.0"),
      [digest(3)]: image("1.0.9"),
      [digest(4)]: { pull: "image-not-found" },
      [digest(5)]: { pull: "registry" },
      [digest(0).replace("launch-agent", "other")]: image("9.0.0"),
    },
  });
  [copies, warnings, stop, idle] = [[], [], new AbortController(), true];
});

afterEach(async () => {
  stop.abort();
  await running;
});

function update(changes: Partial<UpdateOptions> = {}): void {
  running = keepUpToDate({
    engine,
    replacer: replacer({ DUMMY_SLEEP_MS: "600000" }),
    images: new ImageStore({ engine, clock, random: () => 0, tries: 1 }),
    own,
    wanted: async () => await Promise.resolve(wanted),
    isIdle: () => idle,
    clock,
    log: {
      debug: () => {},
      info: () => {},
      warn: (facts, message) => warnings.push(`${message}: ${JSON.stringify(facts)}`),
      error: () => {},
    },
    signal: stop.signal,
    ...changes,
  });
}

/** Starts containers that do as they are ordered. */
function replacer(environment: Record<string, string>): Replacer {
  const unused = async (): Promise<never> => await Promise.reject(new Error("the old agent does not do that"));
  return {
    look: unused,
    stop: unused,
    rename: unused,
    setRestartPolicy: unused,
    copy: async (_, copy, signal) => {
      copies.push(copy);
      const limits = { memoryBytes: 1 << 28, cpus: 1, pids: 64, openFiles: 1024 };
      const network = { mode: "none" } as const;
      const plan = {
        labels: { test: "update" },
        limits,
        isolation: "standard",
        network,
        shared: [],
        environment,
      } as const;
      const id = await engine.create({ ...plan, name: copy.name, image: copy.image, shared: [] }, signal);
      const { stdout, stderr } = await engine.attach(id, signal);
      stdout.resume();
      stderr.resume();
      await engine.start(id, signal);
      return id;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 5_000 }).toBe(true);
}

/** Lets the next look at the control plane come. */
async function minutes(count: number): Promise<void> {
  for (let minute = 1; minute <= count; minute++) await clock.set(new Date(clock.now() + 60_000).toISOString());
}

test("a newer image of its own gets a successor that knows whose place it takes", async () => {
  wanted = digest(2);

  update();

  await until(() => copies.length === 1);
  expect(copies[0]).toMatchObject({ image: digest(2), name: "agent-successor" });
  expect(Object.values(copies[0]?.environment ?? {})).toEqual([own.id]);
});

test("a successor that ends is removed, told once, and not tried again", async () => {
  wanted = digest(2);

  update({ replacer: replacer({ DUMMY_EXIT: "3" }) });

  await until(() => warnings.length === 1);
  expect(warnings[0]).toContain("ended with code 3");
  expect(await engine.inspect("agent-successor", never)).toBeUndefined();
  await minutes(3);
  expect(copies).toHaveLength(1);
  expect(warnings).toHaveLength(1);
});

test("a successor that is never ready is removed when its time is up", async () => {
  wanted = digest(2);
  update();
  await until(() => copies.length === 1);
  await until(() => engine.calls.some((call) => call.startsWith("wait ")));

  clock.set(new Date(clock.now() + 120_000).toISOString()).catch(() => {});

  await until(() => warnings.length === 1);
  expect(warnings[0]).toContain("not ready within 120 s");
  expect(await engine.inspect("agent-successor", never)).toBeUndefined();
});

test("told to stop by somebody else, it takes the successor that is on trial along", async () => {
  wanted = digest(2);
  update();
  await until(() => engine.calls.some((call) => call.startsWith("wait ")));

  stop.abort();
  await running;

  expect(await engine.inspect("agent-successor", never)).toBeUndefined();
  expect(warnings).toEqual([]);
});

test.each([
  [
    "of another repository",
    digest(0).replace("launch-agent", "other"),
    /is no digest of docker.io\/cofferdam\/launch-agent/,
  ],
  ["without a digest", "cofferdam/launch-agent:2", /is no digest of/],
  ["older than this one", digest(3), /is older than this agent/],
  ["whose digest nobody has", digest(4), /image-not-found/],
])("an image %s is refused, and said so once", async (_, image, reason) => {
  wanted = image;

  update();

  await until(() => warnings.length === 1);
  expect(warnings[0]).toMatch(reason);
  await minutes(2);
  expect(warnings).toHaveLength(1);
  expect(copies).toEqual([]);
});

test("a registry that fails is asked again", async () => {
  wanted = digest(5);

  update();

  await until(() => warnings.length === 1);
  await minutes(1);
  await until(() => warnings.length === 2);
  expect(copies).toEqual([]);
});

test("the image that it runs already is no news", async () => {
  wanted = digest(1);
  const { id: imageId } = await engine.pull(wanted, { signal: never });

  update({ own: { ...own, imageId } });

  await until(() => engine.calls.some((call) => call.startsWith("image ")));
  await minutes(2);
  expect([copies, warnings]).toEqual([[], []]);
});

test("waits until no task runs", async () => {
  wanted = digest(2);
  idle = false;
  update();
  await until(() => engine.calls.some((call) => call.startsWith("pull ")));
  expect(copies).toEqual([]);

  idle = true;
  await minutes(1);

  await until(() => copies.length === 1);
});
