import { expect, test } from "vitest";
import { startAgent, workOf } from "../../test/fakes/task-agent.ts";

test("ends by itself when no task has come for too long", async () => {
  await using agent = startAgent({ patience: { taskMs: 20, lastWordsMs: 60_000 } });

  await expect(agent.done).rejects.toThrow("no task has come");
});

test("waits longer than that for its end to be heard, and then ends, too", async () => {
  await using agent = startAgent({ acknowledges: false, patience: { taskMs: 60_000, lastWordsMs: 20 } });

  agent.launch.handOver(workOf([], { maxRunTimeMs: 30, killGraceMs: 10 }));

  await expect(agent.done).rejects.toThrow("nobody has heard the end of the task");
});

test("a task that has come is not cut short by the wait for one", async () => {
  await using agent = startAgent({ patience: { taskMs: 50, lastWordsMs: 60_000 } });

  agent.launch.handOver(workOf(["sleep 0.2; echo whole"]));

  await expect(agent.done).resolves.toBeUndefined();
  expect(agent.launch.output(100)).toContain("whole");
});
