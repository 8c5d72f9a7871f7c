import { describe, expect, test } from "vitest";
import { anImage, aPlan } from "../../../test/fakes/containers.ts";
import { afterVersion, answer, fakeDockerDaemon, versionAnswer } from "../../../test/fakes/fake-docker-daemon.ts";
import type { Engine } from "../engine.ts";
import { createDockerEngine } from "./index.ts";

const never = new AbortController().signal;
const image = anImage({ user: "someone" });
const plan = aPlan({ image: "debian:12" });

const calls: Record<string, (engine: Engine, signal: AbortSignal) => Promise<unknown>> = {
  info: async (engine, signal) => await engine.info(signal),
  image: async (engine, signal) => await engine.image("debian:12", signal),
  account: async (engine, signal) => await engine.account(image, undefined, signal),
  create: async (engine, signal) => await engine.create(plan, signal),
  attach: async (engine, signal) => await engine.attach("one", signal),
  start: async (engine, signal) => await engine.start("one", signal),
  inspect: async (engine, signal) => await engine.inspect("one", signal),
  kill: async (engine, signal) => await engine.kill("one", signal),
  remove: async (engine, signal) => await engine.remove("one", signal),
  list: async (engine, signal) => await engine.list({ a: "b" }, signal),
  ensureSharedVolume: async (engine, signal) =>
    await engine.ensureSharedVolume({ name: "v", image: "debian:12", path: "/opt", labels: {} }, signal),
};

function engineAt(socketPath: string): Engine {
  return createDockerEngine({ address: { kind: "socket", path: socketPath }, callTimeoutMs: 25 });
}

describe.each(Object.keys(calls))("%s", (name) => {
  const call = calls[name];
  if (call === undefined) throw new Error(name);

  test("is rejected as unreachable by an engine that accepts and never answers", async () => {
    await using daemon = await fakeDockerDaemon(() => {});
    await expect(call(engineAt(daemon.socketPath), never)).rejects.toMatchObject({ code: "unreachable" });
  });

  test("is rejected as unreachable by an engine that falls silent after it said its version", async () => {
    await using daemon = await fakeDockerDaemon(afterVersion(() => {}));
    await expect(call(engineAt(daemon.socketPath), never)).rejects.toMatchObject({ code: "unreachable" });
  });

  test("is rejected as unreachable by an engine that dies in the middle of its answer", async () => {
    await using daemon = await fakeDockerDaemon(
      afterVersion((_head, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Id": "ab')),
    );
    await expect(call(engineAt(daemon.socketPath), never)).rejects.toMatchObject({ code: "unreachable" });
  });

  test("is rejected by what does not speak HTTP", async () => {
    await using daemon = await fakeDockerDaemon((_head, socket) => socket.end("220 smtp ready\r\n"));
    await expect(call(engineAt(daemon.socketPath), never)).rejects.toMatchObject({ code: "unreachable" });
  });

  test("is rejected as unreachable where nothing listens", async () => {
    await expect(call(engineAt("/nonexistent/docker.sock"), never)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("Start Docker or Podman") as string,
    });
  });

  test("is given up when the signal goes off while the engine is silent", async () => {
    const controller = new AbortController();
    await using daemon = await fakeDockerDaemon(() => controller.abort());
    const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
    await expect(call(engine, controller.signal)).rejects.toMatchObject({ code: "aborted" });
  });
});

test("answers that are not what engines answer are failures, not crashes", async () => {
  for (const garbage of ["", "not json", "null", "[]", '{"Id": 5}', "{}"]) {
    await using daemon = await fakeDockerDaemon(afterVersion((_head, socket) => answer(socket, 200, garbage)));
    const engine = engineAt(daemon.socketPath);
    await expect(engine.image("debian:12", never)).rejects.toMatchObject({ code: "failed" });
    await expect(engine.create(plan, never)).rejects.toMatchObject({ code: "failed" });
    await expect(engine.inspect("one", never)).rejects.toMatchObject({ code: "failed" });
    await expect(engine.attach("one", never)).rejects.toMatchObject({ code: "failed" });
  }
});

test("a wait outlives the deadline of calls, and ends when the engine dies under it", async () => {
  await using daemon = await fakeDockerDaemon(
    afterVersion((_head, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      setTimeout(() => socket.destroy(), 100);
    }),
  );
  await expect(engineAt(daemon.socketPath).wait("one", never)).rejects.toMatchObject({ code: "unreachable" });
});

test("an engine whose API is older than 1.41 is too old, and its versions are told", async () => {
  await using daemon = await fakeDockerDaemon((_head, socket) =>
    answer(socket, 200, { ...versionAnswer, Version: "19.3.0", ApiVersion: "1.40" }),
  );
  await expect(engineAt(daemon.socketPath).info(never)).rejects.toMatchObject({
    code: "too-old",
    message: expect.stringContaining("1.40") as string,
  });
});

test("an engine that no longer speaks 1.41 is spoken to in the oldest version that it has", async () => {
  await using daemon = await fakeDockerDaemon((head, socket) => {
    if (head.startsWith("GET /version"))
      answer(socket, 200, { ...versionAnswer, ApiVersion: "1.52", MinAPIVersion: "1.44" });
    else answer(socket, 404, { message: "no such image" });
  });
  expect(await engineAt(daemon.socketPath).image("debian:12", never)).toBeUndefined();
  expect(daemon.requests[1]).toBe("GET /v1.44/images/debian:12/json HTTP/1.1");
});

test("an engine that comes back is spoken to again", async () => {
  let alive = false;
  await using daemon = await fakeDockerDaemon((head, socket) => {
    if (!alive) socket.destroy();
    else afterVersion((_head, socket) => answer(socket, 404, { message: "no" }))(head, socket);
  });
  const engine = engineAt(daemon.socketPath);
  await expect(engine.image("debian:12", never)).rejects.toMatchObject({ code: "unreachable" });
  alive = true;
  expect(await engine.image("debian:12", never)).toBeUndefined();
});

test("a create that is given up is removed when it is there after all", async () => {
  const controller = new AbortController();
  const removed = Promise.withResolvers<string>();
  await using daemon = await fakeDockerDaemon(
    afterVersion((head, socket) => {
      if (head.startsWith("POST")) {
        controller.abort();
        setTimeout(() => answer(socket, 201, { Id: "abc123" }), 20);
      } else {
        answer(socket, 204, "");
        removed.resolve(head.split("\r\n")[0] ?? "");
      }
    }),
  );
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
  await expect(engine.create(plan, controller.signal)).rejects.toMatchObject({ code: "aborted" });
  expect(await removed.promise).toBe("DELETE /v1.41/containers/abc123?force=1&v=1 HTTP/1.1");
});

test("what goes while the engine looks is gone, whatever the status says", async () => {
  const words = "container abc does not exist in database: no such container";
  await using daemon = await fakeDockerDaemon(afterVersion((_head, socket) => answer(socket, 500, { message: words })));
  expect(await engineAt(daemon.socketPath).inspect("abc", never)).toBeUndefined();
});
