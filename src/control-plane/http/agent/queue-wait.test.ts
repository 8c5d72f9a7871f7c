import { expect, test } from "vitest";
import { configOf, temporaryControlPlane } from "../../../../test/fakes/temporary-control-plane.ts";
import { systemClock } from "../../../lib/clock.ts";
import { agentApi } from "../../../protocol/agent-api.ts";

/** A clock that stands still until it is put forward. */
function standingClock() {
  let nowMs = 1_000_000;
  return { ...systemClock, now: () => nowMs, forward: (ms: number) => void (nowMs += ms) };
}

test("a claim says how long its attempt was in the queue, and a repeated one the same again", async () => {
  const clock = standingClock();
  await using plane = await temporaryControlPlane({ clock });
  const claim = async () => await plane.agent.claim(plane.token, { claimId: "c" });
  await plane.start(configOf(["build"]));
  clock.forward(7_000);

  const first = await claim();
  clock.forward(1_000);
  const again = await claim();

  expect([first?.waitedMs, again?.waitedMs]).toEqual([7_000, 7_000]);
});

test("an attempt that comes back to the queue waits anew, and a job that has to wait for others is in no queue yet", async () => {
  const clock = standingClock();
  await using plane = await temporaryControlPlane({ clock });
  await plane.start(configOf(["one", { two: { requires: ["one"] } }]));
  clock.forward(5_000);
  const given = await plane.agent.claim(plane.token);
  const json = { task_id: given?.task.id, task_token: given?.token };
  await plane.agent.call("POST", agentApi.unclaim, { json });
  clock.forward(2_000);

  const one = await plane.agent.claim(plane.token);
  await one?.finish();
  clock.forward(3_000);
  const two = await plane.agent.claim(plane.token);

  expect(one).toMatchObject({ task: { attempt: 2 }, waitedMs: 2_000 });
  expect(two).toMatchObject({ task: { job: { name: "two" } }, waitedMs: 3_000 });
});

test("a clock that was put back makes no wait below nothing", async () => {
  const clock = standingClock();
  await using plane = await temporaryControlPlane({ clock });
  await plane.start(configOf(["build"]));
  clock.forward(-5_000);

  expect(await plane.agent.claim(plane.token)).toMatchObject({ waitedMs: 0 });
});
