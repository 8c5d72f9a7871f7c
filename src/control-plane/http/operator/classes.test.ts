import { describe, expect, test } from "vitest";
import { operatedControlPlane, repositoryIn } from "../../../../test/fakes/operated-control-plane.ts";
import { ask, claimingToken, oneJob, trigger } from "../../../../test/fakes/operator.ts";
import { storyOf } from "../../../../test/fakes/temporary-control-plane.ts";
import { operatorApi } from "../../../protocol/operator-api.ts";

describe("resource classes", () => {
  test("are made, listed, changed and deleted in CircleCI's shapes, with settings beside them", async () => {
    await using plane = await operatedControlPlane();
    const settings = { limits: { cpus: 3 }, network: { mode: "egress", deny: [{ to: "192.0.2.0/24" }] } };

    const made = await ask(plane, "POST", operatorApi.classes, { resource_class: "a/b", description: "d", settings });
    const again = await ask(plane, "POST", operatorApi.classes, { resource_class: "a/b" });
    const other = await ask(plane, "POST", operatorApi.classes, { resource_class: "ab/c" });
    const changes = { settings: { limits: { memoryBytes: 4096 }, network: null, unsafeRetries: true } };
    const changed = await ask(plane, "PATCH", operatorApi.classByName("a/b"), changes);
    const listed = await ask(plane, "GET", `${operatorApi.classes}?namespace=a`);

    const { id } = made.json as { id: string };
    expect(made).toMatchObject({
      status: 200,
      json: { id: expect.any(String), resource_class: "a/b", description: "d", settings },
    });
    expect([again.status, other.status]).toEqual([409, 200]);
    const after = {
      id,
      resource_class: "a/b",
      description: "d",
      settings: { limits: { cpus: 3, memoryBytes: 4096 }, unsafeRetries: true },
    };
    expect(changed.json).toEqual(after);
    expect(listed.json).toEqual({ items: [after] });
    expect((await ask(plane, "DELETE", operatorApi.classById(id, false))).status).toBe(200);
    expect((await ask(plane, "GET", operatorApi.classByName("a/b"))).status).toBe(404);
  });

  test.each([
    [{ resource_class: "ab" }, "resource_class"],
    [{ resource_class: "a b/c" }, "NAMESPACE/NAME"],
    [{ resource_class: "Acme/linux" }, "NAMESPACE/NAME"],
    [{ resource_class: "acme/a.b" }, "NAMESPACE/NAME"],
    [{ resource_class: "a/b", settings: { limits: { cpus: -1 } } }, "limits.cpus"],
    [{ resource_class: "a/b", settings: { network: { alow: [] } } }, "network.alow"],
    [{ resource_class: "a/b", settings: { network: { deny: [{ to: "x", port: ["1"] }] } } }, "network.deny.0.port"],
  ])("%j is refused, and the fault named", async (body, words) => {
    await using plane = await operatedControlPlane();

    const answer = await ask(plane, "POST", operatorApi.classes, body);

    expect(answer).toMatchObject({ status: 400, json: { message: expect.stringContaining(words) } });
  });

  test("decide what a job gets; a class that is not there is said so, and a job without one goes to the default", async () => {
    await using plane = await operatedControlPlane({ defaultClass: "a/b" });
    const token = await claimingToken(plane);
    await ask(plane, "PATCH", operatorApi.classByName("a/b"), {
      settings: { limits: { pids: 77 }, isolation: "strict", maxRunTimeMs: 5000 },
    });
    const { url } = await repositoryIn(plane.directory);
    const text = `version: 2.1
jobs:
  plain: {machine: true, steps: [run: "true"]}
  lost: {machine: true, resource_class: no/where, steps: [run: "true"]}
workflows: {w: {jobs: [plain, lost]}}
`;

    const made = await trigger(plane, { config: text, repository: url });
    const held = await plane.http.claim(token);
    await held?.finish();

    expect(held?.task.container).toMatchObject({ resourceClass: "a/b", isolation: "strict", limits: { pids: 77 } });
    expect(held?.task.work.maxRunTimeMs).toBe(5000);
    expect(await storyOf(plane.controlPlane, made.id)).toContainEqual(
      expect.objectContaining({
        type: "job",
        status: "failed",
        reason: expect.stringContaining('no resource class "no/where"'),
      }),
    );
  });

  test("with tokens or tasks go only when they are forced to, and what waited is cancelled then", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const made = await trigger(plane, { config: oneJob, repository: url });
    const { id } = (await ask(plane, "GET", operatorApi.classByName("a/b"))).json as { id: string };

    const refused = await ask(plane, "DELETE", operatorApi.classById(id, false));
    const forced = await ask(plane, "DELETE", operatorApi.classById(id, true));

    expect([refused.status, forced.status]).toEqual([409, 200]);
    expect((await storyOf(plane.controlPlane, made.id)).at(-2)).toMatchObject({ type: "workflow", status: "canceled" });
    await expect(plane.http.claim(token)).rejects.toThrow("401");
  });
});
