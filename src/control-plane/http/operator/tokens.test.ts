import { describe, expect, test } from "vitest";
import { operatedControlPlane, repositoryIn } from "../../../../test/fakes/operated-control-plane.ts";
import { ask, claimingToken, oneJob, trigger } from "../../../../test/fakes/operator.ts";
import { operatorApi } from "../../../protocol/operator-api.ts";

describe("tokens", () => {
  test("are shown once, listed without what they are, and claim until they are deleted", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);

    const listed = await ask(plane, "GET", `${operatorApi.tokens}?resource-class=a/b`);
    const [item] = (listed.json as { items: { id: string }[] }).items;
    const before = await plane.http.claim(token);
    const deleted = await ask(plane, "DELETE", operatorApi.tokenById(item?.id ?? ""));
    const twice = await ask(plane, "DELETE", operatorApi.tokenById(item?.id ?? ""));

    expect(listed.json).toEqual({
      items: [{ id: item?.id, resource_class: "a/b", nickname: "test", created_at: expect.any(String) }],
    });
    expect(listed.bytes.toString()).not.toContain(token);
    expect(before).toBeUndefined();
    expect([deleted.status, twice.status]).toEqual([200, 404]);
    await expect(plane.http.claim(token)).rejects.toThrow("401");
  });

  test("that are deleted while their agent waits for a task get none", async () => {
    await using plane = await operatedControlPlane();
    const token = await claimingToken(plane);
    const { url } = await repositoryIn(plane.directory);
    const waiting = plane.http.claim(token, { waitMs: 20_000 }).catch((error: unknown) => String(error));
    const listed = await ask(plane, "GET", `${operatorApi.tokens}?resource-class=a/b`);

    await ask(plane, "DELETE", operatorApi.tokenById((listed.json as { items: { id: string }[] }).items[0]?.id ?? ""));
    await trigger(plane, { config: oneJob, repository: url });

    expect(await waiting).toContain("401");
    expect((await ask(plane, "GET", `${operatorApi.unclaimedTasks}?resource-class=a/b`)).json).toEqual({
      unclaimed_task_count: 1,
    });
  });

  test.each([operatorApi.tokens, operatorApi.unclaimedTasks, operatorApi.runningTasks, operatorApi.tasks])(
    "%s of a class that is not there is not found",
    async (path) => {
      await using plane = await operatedControlPlane();

      expect(await ask(plane, "GET", `${path}?resource-class=a/none`)).toMatchObject({ status: 404 });
    },
  );
});
