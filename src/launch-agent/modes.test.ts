import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane } from "../../test/fakes/fake-control-plane.ts";
import { endOf } from "../../test/fakes/fake-task.ts";
import { obedient, type Script } from "../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../test/fakes/scripted-stage.ts";
import { aTask } from "../../test/fakes/tasks.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { Secret } from "../lib/secret.ts";
import type { LaunchAgent, LaunchAgentOptions } from "./index.ts";

const idleTimeoutMs = 77;

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

function start(options: Partial<LaunchAgentOptions>, script: Script = obedient): LaunchAgent {
  return stage.run(script, { options: { random: () => 0, ...options } }).agent;
}

/** A step that goes on until it is cancelled. */
function untilCancelled(begun: () => void): Script {
  return async (taskAgent) => {
    await taskAgent.begin();
    begun();
    await taskAgent.until(() => taskAgent.cancels.length > 0);
    await taskAgent.end("canceled");
  };
}

test("ends by itself when its only token is refused for longer than a mishap lasts", async () => {
  const classes = [{ token: new Secret("nobody's") }];

  const agent = start({ classes, modes: { refusedAtStartMs: 1 } });
  await agent.closed;

  expect(agent.status()).toMatchObject({ ending: "refused", controlPlane: { reached: false } });
  expect(controlPlane.claims).toEqual([]);
});

test("goes on with its tasks when its token is taken away in the middle, and ends once they have ended", async () => {
  const goOn = Promise.withResolvers<void>();
  const task = controlPlane.enqueue(aTask());
  const classes = [{ token: new Secret(controlPlane.classToken) }];
  const agent = start({ classes, claimWaitMs: 10, modes: { refusedLaterMs: 1 } }, async (taskAgent) => {
    await taskAgent.begin();
    await goOn.promise;
    await taskAgent.run("said\n");
  });
  await controlPlane.until(() => task.heartbeats > 0);

  controlPlane.classes.clear();
  await expect.poll(() => agent.status().ending, { timeout: 15_000 }).toBe("refused");
  goOn.resolve();
  await agent.closed;

  expect(endOf(task)).toMatchObject({ status: "success" });
}, 20_000);

test("does not count time as idle in which a task runs", async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const looks: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      if (ms <= idleTimeoutMs) looks.push(ms);
      await systemClock.sleep(ms, signal);
    },
  };
  const task = controlPlane.enqueue(aTask());
  const agent = start({ clock, modes: { idleTimeoutMs } }, async (taskAgent) => {
    await taskAgent.begin();
    begun.resolve();
    await goOn.promise;
    await taskAgent.run("said\n");
  });
  await begun.promise;
  await expect.poll(() => looks.filter((ms) => ms === idleTimeoutMs).length, { timeout: 10_000 }).toBeGreaterThan(3);
  const then = agent.status();

  goOn.resolve();
  await agent.closed;

  expect(then).toMatchObject({ ending: undefined, running: 1 });
  expect(agent.status().ending).toBe("done");
  expect(endOf(task)).toMatchObject({ status: "success" });
});

test("cancels what still runs once draining has taken longer than a task may run", async () => {
  const begun = Promise.withResolvers<void>();
  const task = controlPlane.enqueue(aTask());
  const agent = start({ modes: { maxRunTimeMs: 200 } }, untilCancelled(begun.resolve));
  await begun.promise;

  await agent.drain();

  expect(endOf(task)).toMatchObject({ status: "canceled" });
  expect(agent.status().ending).toBe("drained");
});

test("gives no task more time than the operator of the host does", async () => {
  const work = Promise.withResolvers<unknown>();
  controlPlane.enqueue(aTask());

  start({ modes: { maxRunTimeMs: 1_234 } }, async (taskAgent) => {
    work.resolve(await taskAgent.begin());
    await taskAgent.run("said\n");
  });

  await expect(work.promise).resolves.toMatchObject({ maxRunTimeMs: 1_234 });
});

test("takes one task and no second where one is its mode", async () => {
  const tasks = [controlPlane.enqueue(aTask()), controlPlane.enqueue(aTask({ id: "task-2" }))];

  const agent = start({ modes: { singleTask: true }, capacity: { tasks: 1, memoryBytes: 8 * 1024 ** 3, cpus: 8 } });
  await agent.closed;

  expect(tasks.map((task) => endOf(task))).toEqual([expect.objectContaining({ status: "success" }), undefined]);
});
