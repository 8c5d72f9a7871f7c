import { expect, test } from "vitest";
import { aPlan } from "../../../test/fakes/containers.ts";
import { afterVersion, answer, fakeDockerDaemon } from "../../../test/fakes/fake-docker-daemon.ts";
import { createDockerEngine } from "./index.ts";

test("the container that lends a strict one its root is labelled as a helper, and goes", async () => {
  await using daemon = await fakeDockerDaemon(
    afterVersion((head, socket) => {
      if (head.startsWith("POST")) answer(socket, 201, { Id: head.includes("twin") ? "twin" : "one" });
      else answer(socket, 200, "");
    }),
  );
  const address = { kind: "socket", path: daemon.socketPath } as const;
  const engine = createDockerEngine({ address, helperLabels: { role: "helper" } });
  const workspace = { path: "/w", owner: { uid: 7, gid: 8 }, medium: "disk", sizeBytes: 1 } as const;
  const plan = aPlan({ name: "one", labels: { role: "task" }, user: "7:8", isolation: "strict", workspace });

  await engine.create(plan, new AbortController().signal);

  const labels = daemon.requests.flatMap((request, at) =>
    request.includes("/containers/create")
      ? [(JSON.parse(daemon.bodies[at] ?? "") as { Labels: Record<string, string> }).Labels]
      : [],
  );
  expect(labels).toEqual([{ role: "task" }, { role: "helper" }]);
  expect(daemon.requests.at(-1)).toContain("DELETE /v1.41/containers/one.twin?");
});
