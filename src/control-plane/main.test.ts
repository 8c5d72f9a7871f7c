import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { FakeAgent, piece, started } from "../../test/fakes/fake-agent.ts";
import { ManualClock } from "../../test/fakes/manual-clock.ts";
import { configOf, storyOf, temporaryControlPlane, testClass } from "../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../lib/clock.ts";
import { openStore } from "./store/store.ts";

const main = new URL("main.ts", import.meta.url).pathname;

function start(environment: Record<string, string>) {
  const server = spawn(process.execPath, [main], { env: { ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  const exit = once(server, "exit");
  return { server, exit };
}

async function textUntil(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<RegExpMatchArray> {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
    const match = pattern.exec(text);
    if (match) return match;
  }
  throw new Error(`ended without ${String(pattern)}: ${text}`);
}

test("the server says where it listens, serves, and ends with a signal", { timeout: 30_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const { server, exit } = start({ COFFERDAM_DATA_DIRECTORY: join(directory, "data"), COFFERDAM_PORT: "0" });

  const [, url = ""] = await textUntil(server.stderr, /listens on (http:\S+)/);
  await using agent = new FakeAgent({ url });
  const ready = await agent.call("GET", "/ready");
  server.kill("SIGTERM");

  expect(ready.status).toBe(200);
  expect(await exit).toEqual([0, null]);
  await rm(directory, { recursive: true });
});

test("a bad setting is named, and ends the server with 1", { timeout: 30_000 }, async () => {
  const { server, exit } = start({ COFFERDAM_PORT: "many" });

  await textUntil(server.stderr, /control plane: COFFERDAM_PORT: Invalid input/);

  expect(await exit).toEqual([1, null]);
});

test("what was acknowledged survives kill -9, and the task goes on", { timeout: 60_000 }, async () => {
  await using plane = await temporaryControlPlane();
  const { id } = await plane.start(configOf(["build"]));
  const settings = { COFFERDAM_DATA_DIRECTORY: join(plane.directory, "data"), COFFERDAM_PORT: "0" };
  const claimed = await plane.agent.claim(plane.token);
  if (!claimed) throw new Error("no task");
  let acked = 0;

  for (let round = 0; round < 2; round++) {
    const { server, exit } = start(settings);
    const [, url = ""] = await textUntil(server.stderr, /listens on (http:\S+)/);
    await using agent = new FakeAgent({ url });
    const held = claimed.over(agent);
    for (let count = 0; count < 20; count++) {
      const record = acked === 0 ? started(100) : piece(100, (acked - 1) * 5, `${1000 + acked}\n`);
      const answer = await held.sendFrom(acked + 1, [record]);
      expect(answer).toMatchObject({ status: 200, json: { acked: acked + 1 } });
      acked += 1;
    }
    // One more is on its way when the server dies: whether it is stored, nobody was told.
    const last = held.sendFrom(acked + 1, [piece(100, (acked - 1) * 5, `${1000 + acked}\n`)]).catch(() => undefined);
    server.kill("SIGKILL");
    await Promise.all([last, exit]);
    const again = await claimed.sendFrom(acked + 1, [piece(100, (acked - 1) * 5, `${1000 + acked}\n`)]);
    acked += 1;
    expect(again).toMatchObject({ status: 200, json: { acked } });
  }
  await claimed.sendFrom(acked + 1, [{ type: "task-ended", status: "success", atMs: 1 }]);

  const story = await storyOf(plane.controlPlane, id);
  const output = story.flatMap((event) =>
    event.type === "output" ? [Buffer.from(event.data, "base64").toString()] : [],
  );
  expect(output.join("")).toBe(Array.from({ length: acked - 1 }, (_unused, index) => `${1001 + index}\n`).join(""));
  expect(story.at(-1)?.type).toBe("pipeline-ended");
});

test("the server starts scheduled workflows", { timeout: 30_000 }, async () => {
  // Its own clock stands still, so that only the server can start anything.
  await using plane = await temporaryControlPlane({ clock: new ManualClock("2026-01-01T00:00:00Z"), schedules: true });
  const config = configOf(["build"], { resource_class: testClass });
  config.workflows["w"] = { jobs: ["build"], triggers: [{ schedule: { cron: "0 4 * * *" } }] };
  await plane.start(config);
  const directory = join(plane.directory, "data");
  const store = await openStore({ directory, clock: systemClock, onCommit: () => undefined });
  await store.db.updateTable("schedule").set({ due_ms: Date.now() }).execute();

  const { server, exit } = start({ COFFERDAM_DATA_DIRECTORY: directory, COFFERDAM_PORT: "0" });
  const task = await vi.waitUntil(() => plane.agent.claim(plane.token), { timeout: 20_000 });
  server.kill("SIGTERM");

  expect(task.task).toMatchObject({ job: { name: "build" } });
  expect(await exit).toEqual([0, null]);
  await store.close();
});
