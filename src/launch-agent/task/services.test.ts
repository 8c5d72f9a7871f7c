import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane } from "../../../test/fakes/fake-control-plane.ts";
import { endOf, said } from "../../../test/fakes/fake-task.ts";
import { ownedBy } from "../../../test/fakes/owned.ts";
import { type Script, untilKilled } from "../../../test/fakes/scripted-engine.ts";
import { ScriptedStage } from "../../../test/fakes/scripted-stage.ts";
import { aTask } from "../../../test/fakes/tasks.ts";
import { EngineError } from "../../engine/engine.ts";

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

const withService = {
  executor: "docker" as const,
  images: ["dummy", "dummy-user"].map((image) => ({ image, environment: {} })),
};

/** Serves until it is killed, and says so again and again. */
const serving: Script = async (taskAgent, { plan, stdout, killed }) => {
  if (plan.labels["dev.cofferdam.role"] === "service") {
    while (!killed.aborted) await new Promise((resolve) => stdout.write("serving\n", resolve));
    return 137;
  }
  await taskAgent.begin();
  await taskAgent.run("x".repeat(100_000));
  return 0;
};

test("all that services say is stored before the end of their task is", async () => {
  const task = controlPlane.enqueue(aTask({ container: withService }));

  const { agent } = stage.run(serving);
  await controlPlane.ended(task, "task");
  const stored = task.records.length;
  await agent.drain();

  expect(task.records).toHaveLength(stored);
  expect(task.records.at(-1)?.record).toMatchObject({ type: "task-ended", status: "success" });
  const ofService = task.records.filter(({ record }) => "step" in record && record.step === 1);
  expect(ofService.at(-1)?.record).toMatchObject({ type: "step-ended", outcome: { kind: "canceled" } });
  expect(said(task, { step: 1 })).toMatch(/^(serving\n)+$/);
});

test("a task ends in time, though its services cannot be ended", async () => {
  const task = controlPlane.enqueue(aTask({ container: withService }));
  const fault = (call: string) => (call === "kill" ? new EngineError("failed", "stuck") : undefined);

  const { agent, engine } = stage.run(
    async (taskAgent, process) => {
      if (process.plan.labels["dev.cofferdam.role"] === "service") return await untilKilled(process);
      await taskAgent.begin();
      await taskAgent.run("done\n");
      return 0;
    },
    { engine: { fault }, options: { times: { lastWordsMs: 20 } } },
  );
  await controlPlane.ended(task, "task");
  await agent.drain();

  expect(endOf(task, "task")).toMatchObject({ status: "success" });
  expect(await ownedBy(engine)).toEqual([]);
});
