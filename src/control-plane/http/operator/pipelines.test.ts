import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { operatedControlPlane, repositoryIn } from "../../../../test/fakes/operated-control-plane.ts";
import { ask, claimingToken, oneJob, trigger } from "../../../../test/fakes/operator.ts";
import { systemClock } from "../../../lib/clock.ts";
import { operatorApi, WatchLine } from "../../../protocol/operator-api.ts";
import { openStore } from "../../store/store.ts";

describe("a pipeline", () => {
  test.each([
    ["a branch", { branch: "main" }, { CIRCLE_BRANCH: "main" }],
    ["the default branch", {}, { CIRCLE_BRANCH: "main" }],
    ["a tag", { tag: "v1" }, { CIRCLE_TAG: "v1" }],
  ])("is triggered on %s, at the commit that it has now, with its parameters", async (_name, reference, expected) => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url, revision } = await repositoryIn(plane.directory);
    const text = `version: 2.1
parameters: {count: {type: integer, default: 1}}
jobs: {build: {machine: true, resource_class: a/b, steps: [run: echo << pipeline.parameters.count >> << pipeline.number >> << pipeline.git.revision >>]}}
workflows: {w: {jobs: [build: {filters: {tags: {only: /.*/}}}]}}
`;

    const body = { config: text, repository: url, parameters: { count: 7 }, ...reference };
    const made = await trigger(plane, body);
    const held = await plane.http.claim(token);

    expect(held?.task.work.environment).toMatchObject({ ...expected, CIRCLE_SHA1: revision, CIRCLE_USERNAME: "admin" });
    expect(held?.task.work.steps).toMatchObject([{ command: `echo 7 ${made.number} ${revision}` }]);
    expect(held?.task.pipeline).toEqual({ id: made.id, number: made.number });
  });

  test("has its scheduled workflows started later, at the commit that its branch has then", {
    timeout: 30_000,
  }, async () => {
    await using plane = await operatedControlPlane({ schedules: true });
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const nightly = "{triggers: [{schedule: {cron: 0 4 * * *, filters: {branches: {only: main}}}}], jobs: [build]}";
    const text = oneJob.replace("{w: {jobs: [build]}}", `{nightly: ${nightly}}`);
    await trigger(plane, { config: text, repository: url });
    const directory = join(plane.directory, "data");
    const store = await openStore({ directory, clock: systemClock, onCommit: () => undefined });
    await store.db.updateTable("schedule").set({ due_ms: Date.now() }).execute();

    const held = await plane.http.claim(token, { waitMs: 20_000 });

    expect(held?.task).toMatchObject({ workflow: { name: "nightly" }, pipeline: { number: 2 } });
    expect(held?.task.work.environment).toMatchObject({ CIRCLE_BRANCH: "main" });
    await store.close();
  });

  test("is not made of a config with errors, a repository that is not there, or a branch that it does not have", async () => {
    await using plane = await operatedControlPlane();
    const { url } = await repositoryIn(plane.directory);
    const post = async (body: object) =>
      await ask(plane, "POST", operatorApi.pipelines, { config: oneJob, repository: url, ...body });

    const errors = await post({
      config: "version: 2.1\njobs: {build: {machine: true, steps: [no-such-command]}}\n",
      file: "my.yml",
    });
    const branch = await post({ branch: "none" });
    const both = await post({ branch: "main", tag: "v1" });
    const address = await post({ repository: "--upload-pack=touch /tmp/x" });
    const gone = await post({ repository: `${url}-gone` });

    expect(errors).toMatchObject({
      status: 400,
      json: { code: "config-errors", message: expect.stringMatching(/my\.yml:\d/) },
    });
    expect(branch).toMatchObject({
      status: 404,
      json: { message: expect.stringContaining("there is no refs/heads/none") },
    });
    expect(both).toMatchObject({ status: 400, json: { message: expect.stringContaining("not of both") } });
    expect(address).toMatchObject({
      status: 400,
      json: { message: expect.stringContaining("no address of a repository") },
    });
    expect(gone.status).toBe(404);
  });

  test("is watched from where one left off, cancelled by number, and approved by name", async () => {
    await using plane = await operatedControlPlane();
    const { url } = await repositoryIn(plane.directory);
    await claimingToken(plane);
    const text =
      "version: 2.1\njobs: {build: {machine: true, resource_class: a/b, steps: [run: 'true']}}\nworkflows: {w: {jobs: [hold: {type: approval}, build: {requires: [hold]}]}}\n";
    const { id, number } = await trigger(plane, { config: text, repository: url });

    const early = await ask(plane, "POST", operatorApi.approve(String(number)), { job: "build" });
    const approved = await ask(plane, "POST", operatorApi.approve(String(number)), { job: "hold" });
    const cancelled = await ask(plane, "POST", operatorApi.cancel(String(number)), { reason: "enough" });
    const whole = linesOf(await ask(plane, "GET", operatorApi.watch(String(number))));
    const rest = linesOf(await ask(plane, "GET", `${operatorApi.watch(id)}?after=3&output=false`));

    expect(early).toMatchObject({ status: 409 });
    expect([approved.json, cancelled.json]).toEqual([
      { id, number },
      { id, number },
    ]);
    expect(whole.map(({ seq }) => seq)).toEqual(whole.map((_line, index) => index + 1));
    expect(whole.at(-1)?.event.type).toBe("pipeline-ended");
    expect(whole.map(({ event }) => event)).toContainEqual(
      expect.objectContaining({ type: "job", status: "canceled", reason: "enough" }),
    );
    expect(rest).toEqual(whole.slice(3));
    for (const path of [operatorApi.watch("99"), operatorApi.watch("nonsense")])
      expect((await ask(plane, "GET", path)).status).toBe(404);
  });
});

function linesOf({ bytes }: { bytes: Buffer }): WatchLine[] {
  const lines = bytes.toString("utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => WatchLine.parse(JSON.parse(line)));
}
