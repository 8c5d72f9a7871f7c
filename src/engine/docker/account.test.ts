import { expect, test } from "vitest";
import { anImage } from "../../../test/fakes/containers.ts";
import { afterVersion, answer, fakeDockerDaemon } from "../../../test/fakes/fake-docker-daemon.ts";
import { createDockerEngine } from "./index.ts";

const never = new AbortController().signal;
const image = anImage({
  user: "circleci",
  labels: { "dev.cofferdam.passwd": "circleci:x:1001:1001::/home/circleci:/bin/bash" },
});

test("a user that the image's label names, and root, are known without a call", async () => {
  await using daemon = await fakeDockerDaemon(afterVersion((_head, socket) => answer(socket, 500, "no")));
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
  const circleci = { uid: 1001, gid: 1001, home: "/home/circleci" };
  expect(await engine.account(image, undefined, never)).toEqual(circleci);
  expect(await engine.account(image, "circleci", never)).toEqual(circleci);
  expect(await engine.account({ ...image, user: "" }, undefined, never)).toMatchObject({ uid: 0, home: "/root" });
  expect(daemon.requests).toEqual([]);
});

test("every other user is looked up in the image, and the helper container goes", async () => {
  await using daemon = await fakeDockerDaemon(
    afterVersion((head, socket) => {
      if (head.startsWith("POST")) answer(socket, 201, { Id: "helper" });
      else if (head.startsWith("DELETE")) answer(socket, 204, "");
      else answer(socket, 404, { message: "no such file" });
    }),
  );
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath }, newId: () => "1" });
  expect(await engine.account(image, "7:8", never)).toEqual({ uid: 7, gid: 8, home: "/" });
  expect(await engine.account(image, "9", never)).toEqual({ uid: 9, gid: 0, home: "/" });
  expect(daemon.requests.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
    "GET /version",
    "POST /v1.41/containers/create?name=cofferdam-account-1",
    "GET /v1.41/containers/helper/archive?path=%2Fetc%2Fpasswd",
    "GET /v1.41/containers/helper/archive?path=%2Fetc%2Fgroup",
    "DELETE /v1.41/containers/cofferdam-account-1?force=1&v=1",
  ]);
});
