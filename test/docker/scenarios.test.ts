import { expect, test } from "vitest";
import { seenOf, wantedOf } from "../scenarios/compare.ts";
import { runScenario } from "../scenarios/run.ts";
import { loadScenarios } from "../scenarios/scenario.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { leavesNothingBehind } from "./leaves-nothing-behind.ts";

const taskAgentImage = "cofferdam/task-agent:dev";

leavesNothingBehind();

// The scenarios have `network: none`: whatever they check out, restore, attach or store goes through the channel.
for (const scenario of (await loadScenarios()).filter(({ expected }) => !expected.dummyOnly)) {
  test(`${scenario.name}: ${scenario.expected.title}`, async () => {
    const engine = await engineUnderTest();

    const story = await runScenario(scenario, { engine, taskAgentImage });

    expect(seenOf(story, scenario.expected)).toEqual(wantedOf(scenario.expected));
  });
}
