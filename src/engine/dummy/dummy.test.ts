import { expect, test } from "vitest";
import { engineContract } from "../../../test/engine/contract.ts";
import { aPlan } from "../../../test/fakes/containers.ts";
import { CallerError, createDummyEngine, type DummyProcess } from "./index.ts";

const never = new AbortController().signal;

/** Echoes as many bytes as it was told to, beside the orders that dummy containers know. */
async function program(process: DummyProcess): Promise<number> {
  const { CONTRACT_ECHO, DUMMY_OUTPUT, DUMMY_ERROR, DUMMY_EXIT, DUMMY_OOM } = process.plan.environment;
  if (DUMMY_OUTPUT !== undefined) process.stdout.write(DUMMY_OUTPUT);
  if (DUMMY_ERROR !== undefined) process.stderr.write(DUMMY_ERROR);
  if (DUMMY_OOM === "1") process.runOutOfMemory();
  if (CONTRACT_ECHO === "forever") return await new Promise<number>(() => {});
  let left = Number(CONTRACT_ECHO ?? 0);
  while (left > 0) {
    const chunk: Buffer | null = process.stdin.read();
    if (chunk === null) {
      await new Promise((resolve) => process.stdin.once("readable", resolve));
      continue;
    }
    left -= chunk.byteLength;
    await new Promise((resolve) => process.stdout.write(chunk, resolve));
  }
  return DUMMY_OOM === "1" ? 137 : Number(DUMMY_EXIT ?? 0);
}

const forever = "forever";

const dummy = createDummyEngine({
  program,
  helper: async ({ command: [order = ""] }) => (order === forever ? await new Promise(() => {}) : JSON.parse(order)),
});

engineContract("dummy", async () => ({
  engine: dummy,
  setPaused: async (name, isPaused) => dummy.setPaused(name, isPaused),
  image: "dummy",
  user: { name: "circleci", uid: 1001, gid: 1001, home: "/home/circleci" },
  scripts: {
    say: ({ stdout, stderr, exit }) => ({
      environment: { DUMMY_OUTPUT: stdout ?? "", DUMMY_ERROR: stderr ?? "", DUMMY_EXIT: `${exit ?? 0}` },
    }),
    echo: (bytes) => ({ environment: { CONTRACT_ECHO: `${bytes}` } }),
    sleep: () => ({ environment: { CONTRACT_ECHO: "forever" } }),
    eat: () => ({ environment: { DUMMY_OOM: "1" } }),
    help: ({ stdout, exit }) => [JSON.stringify({ code: exit, stdout, stderr: "" })],
    helpForever: () => [forever],
  },
}));

test("a container that is started twice is the caller's error, and is remembered", async () => {
  const engine = createDummyEngine();
  const id = await engine.create(aPlan(), never);
  await engine.attach(id, never);
  await engine.start(id, never);
  await expect(engine.start(id, never)).rejects.toThrow(CallerError);
  expect(engine.callerErrors.map((error) => error.message)).toEqual(["caller error: container one was started before"]);
});

test("starting with nobody attached, and attaching after the removal, are the caller's errors", async () => {
  const engine = createDummyEngine();
  const id = await engine.create(aPlan(), never);
  await expect(engine.start(id, never)).rejects.toThrow("caller error: container one is started with nobody attached");
  await engine.remove(id, never);
  await expect(engine.attach(id, never)).rejects.toThrow("after its removal");
});

test("plans without labels, limits or ensured volumes are the caller's errors", async () => {
  const engine = createDummyEngine({ requiredLabels: ["task"] });
  await expect(engine.create(aPlan(), never)).rejects.toThrow("caller error: plan one has no label task");
  const labels = { task: "1" };
  const limits = { memoryBytes: 0, cpus: 1, pids: 1, openFiles: 1 };
  await expect(engine.create(aPlan({ labels, limits }), never)).rejects.toThrow("a limit that is none");
  const shared = [{ volume: "v", path: "/v" }];
  await expect(engine.create(aPlan({ labels, shared }), never)).rejects.toThrow("volume v, which nobody ensured");
});

test("an engine that goes away breaks attachments and fails calls until it is back", async () => {
  const engine = createDummyEngine();
  const id = await engine.create(aPlan({ environment: { DUMMY_ECHO: "1", DUMMY_EXIT: "4" } }), never);
  const first = await engine.attach(id, never);
  await engine.start(id, never);
  engine.goAway();
  await expect(engine.inspect(id, never)).rejects.toMatchObject({ code: "unreachable" });
  expect(first.stdout.destroyed).toBe(true);
  engine.comeBack();
  const second = await engine.attach(id, never);
  second.stdout.resume();
  second.stdin.write("\0");
  expect(await engine.wait(id, never)).toEqual({ code: 4, outOfMemory: false });
});

test("orders make creates, starts and pulls fail", async () => {
  const engine = createDummyEngine();
  const refused = aPlan({ environment: { DUMMY_CREATE_ERROR: "disk-full" } });
  await expect(engine.create(refused, never)).rejects.toMatchObject({ code: "disk-full" });
  const id = await engine.create(aPlan({ environment: { DUMMY_START_ERROR: "not-startable" } }), never);
  await engine.attach(id, never);
  await expect(engine.start(id, never)).rejects.toMatchObject({ code: "not-startable" });
  await expect(engine.pull("dummy-denied", { signal: never })).rejects.toMatchObject({ code: "image-denied" });
  expect(await engine.image("dummy-absent", never)).toBeUndefined();
  await engine.pull("dummy-absent", { signal: never });
  expect(await engine.image("dummy-absent", never)).toBeDefined();
});
