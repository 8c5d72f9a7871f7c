import { expect, test } from "vitest";
import { seenOf, wantedOf } from "./compare.ts";
import { openDummyStage } from "./dummy-stage.ts";
import { runScenario } from "./run.ts";
import { loadScenarios } from "./scenario.ts";

for (const scenario of await loadScenarios()) {
  test(`${scenario.name}: ${scenario.expected.title}`, async () => {
    await using stage = await openDummyStage(scenario);

    const story = await runScenario(scenario, stage);

    expect(seenOf(story, scenario.expected)).toEqual(wantedOf(scenario.expected));
    expect(stage.engine.callerErrors).toEqual([]);
    expect(await stage.engine.list({ "dev.cofferdam.role": "task" }, new AbortController().signal)).toEqual([]);
  });
}
