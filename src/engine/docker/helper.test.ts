import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { afterVersion, answer, fakeDockerDaemon } from "../../../test/fakes/fake-docker-daemon.ts";
import { until } from "../../../test/fakes/until.ts";
import type { Engine, HelperPlan } from "../engine.ts";
import { createDockerEngine } from "./index.ts";

const never = new AbortController().signal;
const plan: HelperPlan = { name: "one", labels: {}, image: "debian:12", command: ["true"], network: { mode: "host" } };

type Call = "create" | "attach" | "start" | "wait" | "inspect" | "remove";

function callOf(head: string): Call {
  if (head.startsWith("DELETE")) return "remove";
  return (["create", "attach", "start", "wait"] as const).find((call) => head.includes(`/${call}`)) ?? "inspect";
}

/** An engine whose helper ends at once, and never closes its output. `on`: what it does instead; false where that is all. */
async function daemonWith(on: (call: Call, socket: Socket) => boolean) {
  return await fakeDockerDaemon(
    afterVersion((head, socket) => {
      const call = callOf(head);
      if (!on(call, socket)) return;
      if (call === "create") answer(socket, 201, { Id: "abc" });
      else if (call === "attach") socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
      else if (call === "wait") answer(socket, 200, { StatusCode: 0 });
      else if (call === "inspect") answer(socket, 404, { message: "no such container" });
      else socket.write("HTTP/1.1 204 X\r\n\r\n");
    }),
  );
}

/** Whatever was sent before has arrived, and been answered. */
async function settle(engine: Engine): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await engine.inspect("another", never);
}

async function failureOf(running: Promise<unknown>): Promise<unknown> {
  return await running.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test.each([
  ["while it runs", "wait"],
  ["while more may come of its output", "inspect"],
] as const)("a helper that is given up %s is removed", async (_when, last) => {
  const patience = new AbortController();
  const reached = Promise.withResolvers<void>();
  await using daemon = await daemonWith((call) => {
    if (call === last) reached.resolve();
    return call !== "wait" || last !== "wait";
  });
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
  const failure = failureOf(engine.runHelper(plan, patience.signal));
  await reached.promise;
  await settle(engine);

  patience.abort();

  expect(await failure).toMatchObject({ code: "aborted" });
  await until(() => daemon.requests.includes("DELETE /v1.41/containers/one?force=1&v=1 HTTP/1.1"));
});

test("a helper that is given up before the engine has made it is removed once it is there", async () => {
  const patience = new AbortController();
  const creating = Promise.withResolvers<Socket>();
  let isThere = false;
  await using daemon = await daemonWith((call, socket) => {
    if (call === "create") creating.resolve(socket);
    if (call === "remove") isThere = false;
    return call !== "create";
  });
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
  const failure = failureOf(engine.runHelper(plan, patience.signal));
  const socket = await creating.promise;
  patience.abort();
  expect(await failure).toMatchObject({ code: "aborted" });
  await settle(engine);

  isThere = true;
  answer(socket, 201, { Id: "abc" });

  await until(() => !isThere);
});
