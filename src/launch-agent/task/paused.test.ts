import { afterEach, beforeEach, expect, test } from "vitest";
import type { FakeControlPlane } from "../../../test/fakes/fake-control-plane.ts";
import { said } from "../../../test/fakes/fake-task.ts";
import { quiet } from "../../../test/fakes/launch-agents.ts";
import { ScriptedStage } from "../../../test/fakes/scripted-stage.ts";
import { aTask } from "../../../test/fakes/tasks.ts";

let stage: ScriptedStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await new ScriptedStage().open();
  controlPlane = stage.controlPlane;
});

afterEach(async () => await stage.close());

test("a task is told, and the log, that somebody has paused its container, and that it goes on", async () => {
  const task = controlPlane.enqueue(aTask());
  const goOn = Promise.withResolvers<void>();
  const warnings: string[] = [];
  const log = { ...quiet, warn: (_facts: object, message: string) => void warnings.push(message) };
  const { agent, engine } = stage.run(
    async (taskAgent) => {
      await taskAgent.begin();
      await goOn.promise;
      await taskAgent.run("done\n");
    },
    { options: { times: { pauseLookMs: 5 }, log } },
  );
  await controlPlane.until(() => said(task, { step: 0 }).includes("started in"));

  engine.setPaused("cofferdam-task-1-1-0", true);
  await controlPlane.until(() => said(task, { step: 91 }) !== "");
  engine.setPaused("cofferdam-task-1-1-0", false);
  await controlPlane.until(() => said(task, { step: 91 }).includes("goes on"));
  goOn.resolve();
  await agent.drain();

  const paused = "was paused from outside: it stands still, and its time limits go on";
  expect(said(task, { step: 91 })).toBe(
    `Container cofferdam-task-1-1-0 ${paused}\nContainer cofferdam-task-1-1-0 goes on, after 0 s\n`,
  );
  expect(warnings.slice(-2)).toEqual([`a container of a task ${paused}`, "a container of a task goes on, after 0 s"]);
  const told = task.records.filter(({ record }) => "step" in record && record.step === 91);
  expect(told.at(-1)?.record).toMatchObject({ type: "step-ended", outcome: { kind: "succeeded" } });
});
