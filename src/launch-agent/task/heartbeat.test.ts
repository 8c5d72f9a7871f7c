import { expect, test } from "vitest";
import { aTask } from "../../../test/fakes/tasks.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import type { HeartbeatResponse } from "../../protocol/agent-api.ts";
import { ApiFailure } from "../api/failure.ts";
import { keepLease } from "./heartbeat.ts";

type Answer = HeartbeatResponse | Error;
const fine: HeartbeatResponse = { lease_ms: 30_000, cancel: null };
const cancelled: HeartbeatResponse = { lease_ms: 30_000, cancel: { reason: "by alice" } };
const down = new ApiFailure("down", { code: "no-answer" });

/** Each answer is given once, `repeat` for ever after; ends after 50 calls at the latest. */
async function keep(answers: Answer[], repeat: Answer = fine) {
  const over = new AbortController();
  const waits: number[] = [];
  const pauses: number[] = [];
  const cancels: string[] = [];
  const lost: string[] = [];
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => nowMs,
    sleep: async (ms) => {
      pauses.push(ms);
      nowMs += ms;
    },
  };
  await keepLease({
    api: {
      heartbeat: async (_token, waitMs) => {
        waits.push(waitMs);
        if (waits.length === 50) over.abort();
        const answer = answers.shift() ?? repeat;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    claim: { task: aTask(), token: new Secret("t"), leaseMs: 30_000, resourceClass: "ns/class" },
    clock,
    random: () => 1,
    signal: over.signal,
    cutOffMs: 20_000,
    onCancel: (reason) => cancels.push(reason),
    onLost: (why) => lost.push(why),
  });
  return { waits, pauses, cancels, lost, calls: waits.length };
}

test("tells of a cancellation once, and keeps the lease until the task has ended", async () => {
  const { cancels, lost, waits } = await keep([fine, cancelled], cancelled);

  expect(cancels).toEqual(["by alice"]);
  expect(lost).toEqual([]);
  expect(waits.slice(0, 4)).toEqual([10_000, 10_000, 0, 0]);
});

test("asks a server that does not hold the call once a second", async () => {
  const { pauses } = await keep([]);

  expect(new Set(pauses)).toEqual(new Set([1_000]));
});

test.each([
  ["of another attempt", new ApiFailure("attempt 2 runs", { status: 409, code: "stale-attempt" })],
  ["unknown", new ApiFailure("no such task", { status: 404, code: "not-found" })],
  ["refused", new ApiFailure("no such token", { status: 401, code: "unauthorized" })],
])("gives a task up at once that is %s", async (_what, failure) => {
  const { lost, calls } = await keep([fine, failure]);

  expect(lost).toEqual([failure.message]);
  expect(calls).toBe(2);
});

test("outlives a control plane that is down for less than the limit", async () => {
  const { lost, pauses } = await keep([down, down, down, fine]);

  expect(lost).toEqual([]);
  expect(pauses.slice(0, 3)).toEqual([100, 200, 400]);
});

test("outlives a proxy that refuses and knows nothing in the control plane's place", async () => {
  const missing = new ApiFailure("404 page not found", { status: 404, code: "unknown" });
  const refused = new ApiFailure("401 <h1>Sign in</h1>", { status: 401, code: "unknown" });

  const { lost, calls } = await keep([fine, missing, refused, fine]);

  expect(lost).toEqual([]);
  expect(calls).toBe(50);
});

test("gives a task up when the control plane was silent for too long", async () => {
  const { lost } = await keep([fine], down);

  expect(lost).toEqual([expect.stringMatching(/^no word from the control plane for \d+ s$/)]);
});
