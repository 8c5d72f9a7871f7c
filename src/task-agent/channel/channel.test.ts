import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { FakeLaunchAgent, type FakeOptions } from "../../../test/fakes/fake-launch-agent.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import type { Work } from "../../protocol/task.ts";
import { Spool } from "../spool/spool.ts";
import { Channel } from "./channel.ts";
import { RequestError } from "./transfer.ts";

function connect(options: FakeOptions = {}) {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const tasks: Work[] = [];
  const cancels: boolean[] = [];
  const closed: string[] = [];
  const spool = new Spool({ memoryBytes: 1000, directory: () => undefined });
  const channel = new Channel({
    input: stdin,
    output: stdout,
    spool,
    version: "test",
    onTask: (work) => tasks.push(work),
    onCancel: (_status, hurry) => cancels.push(hurry),
    onClosed: (reason) => closed.push(reason),
  });
  const launch = new FakeLaunchAgent(options);
  launch.attach(stdin, stdout);
  return { stdin, stdout, channel, launch, tasks, cancels, closed };
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

const work = { steps: [] } as unknown as Work;
const { signal } = new AbortController();
const started = (channel: Channel): void =>
  channel.record({ type: "step-started", step: 100, name: "x", kind: "run", atMs: 1 });

describe("the task channel", () => {
  test("answers the marker with hello, and a task with accepted, once", async () => {
    const { launch, tasks } = connect();

    launch.handOver(work);
    launch.handOver(work);
    await launch.until(() => launch.accepted.length > 0);

    expect(launch.hellos).toEqual([{ type: "hello", protocol: 1, version: "test" }]);
    expect(launch.accepted).toEqual([{ type: "accepted", task: "task-1", attempt: 1 }]);
    expect(tasks).toEqual([work]);
  });

  test("sends what was not acknowledged again to the next attachment, after hello and accepted", async () => {
    const { launch, channel, stdin, stdout } = connect({ acknowledges: false });
    launch.handOver(work);
    for (let count = 0; count < 5; count += 1) started(channel);
    await launch.until(() => launch.records.length === 5);
    launch.send({ type: "ack", seq: 2 });

    launch.options = {};
    launch.attach(stdin, stdout);
    await channel.drained();

    expect(launch.repeated).toBe(3);
    expect(launch.accepted).toHaveLength(2);
  });

  test("carries 20 MB down and up within the credit", async () => {
    const { launch, channel } = connect();
    const bytes = randomBytes(20_000_000);
    launch.stores.caches.set("k", bytes);

    const got = await channel.ask(
      { op: "restore-cache", keys: ["k"] },
      { signal, receive: async (_result, body) => await collect(body) },
    );
    const send = async function* (): AsyncGenerator<Buffer> {
      yield got;
    };
    await channel.ask({ op: "save-cache", key: "copy" }, { signal, send, receive: async (result) => result });

    expect(got.equals(bytes)).toBe(true);
    expect(launch.stores.caches.get("copy")?.equals(bytes)).toBe(true);
  });

  test.each([0, 3, 50, 100_000])(
    "makes an open request again when the attachment breaks %i bytes into a frame",
    async (part) => {
      const { launch, channel, stdin, stdout } = connect();
      const bytes = randomBytes(3_000_000);
      launch.stores.source = bytes;
      let received = 0;
      let broken = false;

      const got = await channel.ask(
        { op: "checkout", method: "full" },
        {
          signal,
          receive: async (_result, body) => {
            const pieces: Buffer[] = [];
            for await (const piece of body) {
              pieces.push(piece);
              received += piece.byteLength;
              if (broken || received < 1_000_000) continue;
              broken = true;
              launch.detach(stdout);
              stdin.write(encodeFrame({ type: "data", id: 1 }, Buffer.alloc(200_000)).subarray(0, part));
              launch.attach(stdin, stdout);
            }
            return Buffer.concat(pieces);
          },
        },
      );

      expect(got.equals(bytes)).toBe(true);
      expect(launch.requests).toHaveLength(2);
      expect(launch.hellos).toHaveLength(2);
    },
  );

  test("makes an upload again from its beginning when the attachment breaks", async () => {
    const { launch, channel, stdin, stdout } = connect();
    const bytes = randomBytes(5_000_000);
    let sends = 0;
    const send = async function* (): AsyncGenerator<Buffer> {
      sends += 1;
      yield bytes.subarray(0, 2_000_000);
      if (sends === 1) launch.attach(stdin, stdout);
      yield bytes.subarray(2_000_000);
    };

    await channel.ask({ op: "store-artifact", path: "a" }, { signal, send, receive: async () => {} });

    expect(launch.stores.artifacts.get("a")?.equals(bytes)).toBe(true);
  });

  test("waits with a request until there is an attachment", async () => {
    const { launch, channel, stdin, stdout } = connect();
    await launch.until(() => launch.hellos.length > 0);
    launch.detach(stdout);
    const asked = channel.ask({ op: "has-cache", key: "k" }, { signal, receive: async (result) => result.stored });

    launch.attach(stdin, stdout);

    expect(await asked).toBe(false);
  });

  test("tells a refusal, and whether it is infrastructure", async () => {
    const { channel } = connect({ refuse: () => ({ message: "the store is down", infrastructure: true }) });

    const error = await channel
      .ask({ op: "list-workspace" }, { signal, receive: async () => {} })
      .catch((error: unknown) => error);

    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ message: "the store is down", infrastructure: true });
  });

  test("gives a request up when the signal says so", async () => {
    const { channel } = connect();
    const abort = new AbortController();
    const asked = channel.ask({ op: "save-cache", key: "k" }, { signal: abort.signal, receive: async () => {} });

    abort.abort(new Error("enough"));

    await expect(asked).rejects.toThrow("enough");
  });

  test("tells the first cancel from the second, and when stdin is closed", async () => {
    const { launch, stdin, cancels, closed } = connect();
    launch.cancel();
    launch.cancel();
    stdin.end();

    await expect.poll(() => closed).toEqual(["stdin was closed"]);
    expect(cancels).toEqual([false, true]);
  });
});
