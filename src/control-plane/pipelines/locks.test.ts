import { expect, test } from "vitest";
import { newPipeline } from "../../../test/fakes/pipelines.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../../../test/fakes/temporary-control-plane.ts";
import type { LockClaim } from "../store/locks.ts";
import { judgeLock, lockWaitMs } from "./locks.ts";

const claim = (pipelineNumber: number, more: Partial<LockClaim> = {}): LockClaim => ({
  job: `j${pipelineNumber}`,
  name: "deploy",
  pipelineId: `p${pipelineNumber}`,
  pipelineNumber,
  project: `project-${pipelineNumber}`,
  state: "waiting",
  askedMs: 0,
  ...more,
});
const judge = (claims: LockClaim[], more: { newest?: [string, number][]; nowMs?: number } = {}) =>
  judgeLock({ key: "k", claims, newestHolders: new Map(more.newest), nowMs: more.nowMs ?? 0 }).map(
    ({ event }) => `${event.job} ${event.type}${"status" in event ? ` ${event.status}` : ""}`,
  );

test("a lock goes to the one who has waited longest", () => {
  expect(judge([claim(2), claim(1)])).toEqual(["j2 lock-granted", "j1 lock-taken"]);
});

test("nobody gets a lock that is held", () => {
  expect(judge([claim(1, { state: "held" }), claim(2)])).toEqual(["j2 lock-taken"]);
});

test("of one project an older pipeline does not run after a newer one has come to the lock", () => {
  const project = "one";

  expect(judge([claim(1, { project }), claim(2, { project })])).toEqual(["j1 lock-refused not_run", "j2 lock-granted"]);
  expect(judge([claim(1, { project })], { newest: [[project, 2]] })).toEqual(["j1 lock-refused not_run"]);
  expect(judge([claim(2, { project })], { newest: [[project, 1]] })).toEqual(["j2 lock-granted"]);
});

test("who has waited for five hours is canceled", () => {
  expect(judge([claim(1, { state: "held" }), claim(2)], { nowMs: lockWaitMs })).toEqual(["j2 lock-refused canceled"]);
});

test("pipelines of two control planes over one folder take turns at a lock", async () => {
  await using plane = await temporaryControlPlane();
  await using other = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });
  const config = configOf([{ deploy: { "serial-group": "production" } }]);
  const first = await plane.start(config);
  const second = await other.controlPlane.createPipeline({
    ...newPipeline(config),
    project: { slug: "gh/organization/other", name: "other" },
  });

  const held = await plane.agent.claim(plane.token);
  const early = await plane.agent.claim(plane.token, { waitMs: 0 });
  await held?.finish("failed");
  const next = await other.agent.claim(plane.token, { waitMs: 20_000 });
  await next?.finish();

  expect(held?.task.pipeline.id).toBe(first.id);
  expect(early).toBeUndefined();
  expect(next?.task.pipeline.id).toBe(second.id);
  expect(jobEnds(await storyOf(other.controlPlane, second.id))).toEqual({ deploy: "success" });
});

test("a lock is still held after the control plane was opened again", async () => {
  await using plane = await temporaryControlPlane();
  const config = configOf([{ deploy: { "serial-group": "production" } }]);
  await plane.start(config);
  const held = await plane.agent.claim(plane.token);
  await using reopened = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });

  const { id } = await reopened.start(config);

  expect(held).toBeDefined();
  expect(await reopened.agent.claim(reopened.token, { waitMs: 0 })).toBeUndefined();
  await reopened.controlPlane.cancelPipeline(id, "enough");
  const reasons = (await storyOf(reopened.controlPlane, id)).flatMap((event) =>
    event.type === "job" ? [`${event.status}: ${event.reason}`] : [],
  );
  expect(reasons).toEqual([
    'queued: waits for the lock "production", which job deploy of pipeline 1 (gh/organization/project) has or gets first',
    "canceled: enough",
  ]);
});
