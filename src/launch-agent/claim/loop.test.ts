import { expect, test } from "vitest";
import { quiet } from "../../../test/fakes/launch-agents.ts";
import { aTask } from "../../../test/fakes/tasks.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import type { AgentApi, Claim } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { Room } from "./capacity.ts";
import { claimTasks } from "./loop.ts";

const claim: Claim = { task: aTask(), token: new Secret("t"), leaseMs: 30_000, resourceClass: "ns/class" };

/** Each answer is given once; after the last one the loop is drained. */
async function claimWith(answers: (Claim | undefined | Error)[]) {
  const draining = new AbortController();
  const ids: string[] = [];
  const pauses: number[] = [];
  const warnings: string[] = [];
  const claimed: Claim[] = [];
  const room = new Room({ tasks: 2, memoryBytes: 1, cpus: 1 });
  let nowMs = 0;
  let newest = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => nowMs,
    sleep: async (ms) => {
      pauses.push(ms);
      nowMs += ms;
    },
  };
  const api: Pick<AgentApi, "claim"> = {
    claim: async (request) => {
      ids.push(request.claim_id ?? "");
      const answer = answers.shift();
      if (answers.length === 0) draining.abort();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  await claimTasks({
    api,
    agent: { name: "a", hostname: "h", version: "1" },
    room,
    waitMs: 30_000,
    onClaim: (task) => {
      claimed.push(task);
      room.leavePlace();
    },
    clock,
    random: () => 1,
    newId: () => `claim-${++newest}`,
    log: { ...quiet, warn: (facts) => warnings.push("error" in facts ? String(facts.error) : "") },
    signal: draining.signal,
  });
  return { ids, pauses, claimed, room, warnings };
}

test("asks under the same id until it is answered, and under a new one after that", async () => {
  const { ids, claimed } = await claimWith([new ApiFailure("cut", { code: "no-answer" }), claim, undefined]);

  expect(ids).toEqual(["claim-1", "claim-1", "claim-2"]);
  expect(claimed).toEqual([claim]);
});

test("leaves a control plane alone for as long as it says, and tells why once", async () => {
  const message = "429 too many wrong tokens have come from 192.0.2.1: try again in 1 s";
  const refused = () => new ApiFailure(message, { status: 429, code: "too-many-tries", retryAfterMs: 1_000 });

  const { pauses, warnings } = await claimWith([refused(), refused(), refused(), undefined]);

  expect(pauses.slice(0, 3).map((ms) => ms >= 1_000)).toEqual([true, true, true]);
  expect(warnings).toEqual([message]);
});

test("comes back more and more slowly while the control plane fails, and slowly at once when it refuses", async () => {
  const down = new ApiFailure("down", { status: 503, code: "unavailable" });
  const unknown = new ApiFailure("who are you", { status: 401, code: "unauthorized" });

  await expect(claimWith([down, down, down, undefined])).resolves.toMatchObject({ pauses: [100, 200, 400, 1_000] });
  await expect(claimWith([unknown, undefined])).resolves.toMatchObject({ pauses: [5_000, 1_000] });
});

test("does not storm a control plane that holds no claims", async () => {
  const { pauses, room } = await claimWith([undefined, undefined]);

  expect(pauses).toEqual([1_000, 1_000]);
  expect(room.placesTaken).toBe(0);
});

test("takes a task that was handed out in the very moment in which claiming ended", async () => {
  const draining = new AbortController();
  const requests: { id: string | undefined; repeatOnly: boolean | undefined }[] = [];
  const claimed: Claim[] = [];
  const api: Pick<AgentApi, "claim"> = {
    claim: async ({ claim_id: id, repeat_only: repeatOnly }) => {
      requests.push({ id, repeatOnly });
      if (repeatOnly) return claim;
      draining.abort();
      throw new ApiFailure("cut", { code: "no-answer" });
    },
  };

  await claimTasks({
    api,
    agent: { name: "a", hostname: "h", version: "1" },
    room: new Room({ tasks: 1, memoryBytes: 1, cpus: 1 }),
    waitMs: 30_000,
    onClaim: (task) => claimed.push(task),
    clock: systemClock,
    random: () => 1,
    newId: () => "claim-1",
    log: quiet,
    signal: draining.signal,
  });

  expect(requests).toEqual([
    { id: "claim-1", repeatOnly: undefined },
    { id: "claim-1", repeatOnly: true },
  ]);
  expect(claimed).toEqual([claim]);
});

test.each([
  ["nothing had been handed out", undefined],
  ["a task was handed out in that moment", claim],
])("a call that is held ends as soon as there may be none any more: %s", async (_title, handedOut) => {
  const draining = new AbortController();
  const unready = [new AbortController()];
  const asked: { id: string | undefined; repeatOnly: boolean }[] = [];
  const claimed: Claim[] = [];
  const room = new Room({ tasks: 1, memoryBytes: 1, cpus: 1 });
  await claimTasks({
    api: {
      claim: async (request, signal) => {
        asked.push({ id: request.claim_id, repeatOnly: request.repeat_only === true });
        if (request.repeat_only === true) return handedOut;
        unready.at(-1)?.abort(new Error("the disk is full"));
        signal.throwIfAborted();
        return undefined;
      },
    },
    agent: { name: "a", hostname: "h", version: "1" },
    room,
    waitMs: 30_000,
    ready: async () => {
      if (asked.length > 0) draining.abort(new Error("the test is over"));
      return unready.at(-1)?.signal;
    },
    onClaim: (task) => {
      claimed.push(task);
      room.leavePlace();
    },
    clock: systemClock,
    random: () => 1,
    newId: () => "id",
    log: quiet,
    signal: draining.signal,
  });

  expect(asked.slice(0, 2)).toEqual([
    { id: "id", repeatOnly: false },
    { id: "id", repeatOnly: true },
  ]);
  expect(claimed.slice(0, 1)).toEqual(handedOut ? [handedOut] : []);
});
