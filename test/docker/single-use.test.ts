import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { Network } from "../../src/protocol/task.ts";
import type { FakeControlPlane, FakeTask } from "../fakes/fake-control-plane.ts";
import * as fake from "../fakes/fake-task.ts";
import { debian, EngineStage } from "./agents.ts";

/** COFFERDAM_TEST_TASKS=1000 for the whole proof, which takes minutes. */
const tasks = Number(process.env["COFFERDAM_TEST_TASKS"] ?? 24);

let stage: EngineStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await EngineStage.of("docker-single-use");
  controlPlane = stage.controlPlane;
  stage.startAgent({
    capacity: { tasks: 3, memoryBytes: 4096 * 1024 ** 2, cpus: 8 },
    pool: { perShape: 2, total: 2, pauseMs: 0, checkMs: 500 },
    sandboxes: { mode: "required", ready: 2 },
  });
});

afterEach(async () => await stage.close());

/** Fails in a container in which a task has been before, and where another task has the sandbox's network at the same time. */
const command = `if [ -e /tmp/was-here ]; then exit 1; fi; touch /tmp/was-here
if (exec 9<>/dev/tcp/127.0.0.1/18777) 2>/dev/null; then exit 2; fi
perl -MIO::Socket::INET -e 'IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 18777, Listen => 1, ReuseAddr => 1) or exit 3; select undef, undef, undef, 0.02'`;

function enqueue(): FakeTask {
  return stage.enqueue(command, { ...debian, network: Network.parse({}) });
}

/** Undefined while it goes on. One whose container was killed before it began goes back to the queue. */
function endOf(task: FakeTask): string | undefined {
  return fake.endOf(task)?.status ?? (task.unclaimed.length > 0 ? "given back" : undefined);
}

test(`no container, and no sandbox at once, is ever had by two of ${tasks} tasks, whatever is killed meanwhile`, {
  timeout: tasks * 5_000 + 60_000,
}, async () => {
  const all: FakeTask[] = [enqueue()];
  await controlPlane.until(() => all.every((task) => endOf(task) !== undefined));
  // The next one is a hit, before anything is killed.
  await expect.poll(async () => await stage.running("pool"), { timeout: 20_000 }).not.toEqual([]);
  const killing = new AbortController();
  const killer = killNowAndThen(killing.signal);
  for (let left = tasks - 1; left > 0; left--) {
    all.push(enqueue());
    await controlPlane.until(() => all.filter((task) => endOf(task) === undefined).length < 4);
  }
  await controlPlane.until(() => all.every((task) => endOf(task) !== undefined));
  killing.abort();
  const killed = await killer;

  const ends = Object.groupBy(all, (task) => endOf(task) ?? "");

  expect(ends["failed"]).toBeUndefined();
  expect(ends["success"]?.length).toBeGreaterThanOrEqual(all.length - killed);
  expect(stage.count("hit")).toBeGreaterThan(0);
});

/** Something that waits, runs or holds a network, each time. Returns how many. */
async function killNowAndThen(signal: AbortSignal): Promise<number> {
  let killed = 0;
  for (let round = 0; !signal.aborted; round++) {
    await systemClock.sleep(700, signal).catch(() => undefined);
    const role = ["pool", "task", "sandbox"][round % 3] ?? "pool";
    const [victim] = await stage.running(role);
    if (signal.aborted || victim === undefined) continue;
    await stage.engine.kill(victim, AbortSignal.timeout(20_000));
    killed++;
  }
  return killed;
}
