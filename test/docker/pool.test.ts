import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import type { FakeControlPlane, FakeTask } from "../fakes/fake-control-plane.ts";
import { said } from "../fakes/fake-task.ts";
import { debian, EngineStage, execIn } from "./agents.ts";

let stage: EngineStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await EngineStage.of("docker-pool");
  controlPlane = stage.controlPlane;
  stage.startAgent({ pool: { perShape: 1, total: 2, pauseMs: 0, checkMs: 500 } });
});

afterEach(async () => await stage.close());

/** What a container is, as seen from inside: its own name for itself, and whether an earlier task was here. */
function enqueue(): FakeTask {
  return stage.enqueue("hostname; ls ~/project /tmp; touch ~/project/x /tmp/x", debian);
}

async function ended(task: FakeTask): Promise<string> {
  return (await controlPlane.ended(task)).status;
}

function linesOf(task: FakeTask): string[] {
  return said(task, { lane: "task" })
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith(":"));
}

async function untilOneWaits(except: readonly string[] = []): Promise<string> {
  for (;;) {
    const found = (await stage.running("pool")).find((id) => !except.includes(id));
    if (found !== undefined) return found;
    await systemClock.sleep(20);
  }
}

test("hands the next task to the container that waits, and leaves nothing", async () => {
  const first = enqueue();
  expect(await ended(first)).toBe("success");
  const id = await untilOneWaits();

  const second = enqueue();

  expect(await ended(second)).toBe("success");
  // Its own name is the beginning of its id, and it is as new.
  expect(linesOf(second)).toEqual([id.slice(0, 12)]);
  expect([stage.count("miss"), stage.count("hit")]).toEqual([1, 1]);
});

test("starts the task cold when what waits has been stopped", async () => {
  expect(await ended(enqueue())).toBe("success");
  const id = await untilOneWaits();
  // Its init goes on, so the engine sees nothing of it.
  await execIn(id, "kill -STOP -1");

  const task = enqueue();

  expect(await ended(task)).toBe("success");
  expect(linesOf(task)).not.toEqual([id.slice(0, 12)]);
  expect(task.unclaimed).toEqual([]);
  expect(stage.count("hit")).toBe(0);
});

test("never runs two tasks in one container, whatever is killed meanwhile", async () => {
  const tasks: FakeTask[] = [];
  const killed: string[] = [];
  for (let round = 0; round < 8; round++) {
    const task = enqueue();
    tasks.push(task);
    expect(await ended(task)).toBe("success");
    if (round % 3 !== 1) continue;
    // In its sleep, and with the next task on its way to it.
    const id = await untilOneWaits(killed);
    killed.push(id);
    await stage.engine.kill(id, AbortSignal.timeout(20_000));
  }

  const hosts = tasks.flatMap(linesOf);

  expect(hosts).toHaveLength(tasks.length);
  expect(new Set(hosts).size).toBe(tasks.length);
});
