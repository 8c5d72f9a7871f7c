import { randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Held, piece, started } from "../../../../test/fakes/fake-agent.ts";
import {
  configOf,
  storyOf,
  type TemporaryControlPlane,
  temporaryControlPlane,
} from "../../../../test/fakes/temporary-control-plane.ts";
import { maxRecordsPostBytes } from "../../../protocol/agent-api.ts";
import { encodeFrame } from "../../../protocol/frames.ts";
import type { RecordBody } from "../../../protocol/records.ts";

async function heldTask(plane: TemporaryControlPlane): Promise<Held & { pipeline: string }> {
  const { id } = await plane.start(configOf(["build"]));
  const held = await plane.agent.claim(plane.token);
  if (!held) throw new Error("no task");
  return Object.assign(held, { pipeline: id });
}

async function outputOf(plane: TemporaryControlPlane, taskId: string, step = 100): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const bytes of plane.controlPlane.stepOutput(taskId, step)) pieces.push(bytes);
  return Buffer.concat(pieces);
}

function compressed(step: number, offset: number, bytes: Buffer, length = bytes.byteLength): [RecordBody, Buffer] {
  return [{ type: "output", step, stream: "stdout", offset, length, encoding: "zstd" }, zstdCompressSync(bytes)];
}

describe("records", () => {
  test("are stored once, however often and in whatever portions they come", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const lines = Array.from({ length: 20 }, (_unused, index) => Buffer.from(`line ${index}\n`));
    let offset = 0;
    const all: (RecordBody | [RecordBody, Buffer])[] = [started(100)];
    for (const line of lines) {
      all.push(piece(100, offset, line));
      offset += line.byteLength;
    }
    let acked = 0;

    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 20 }), fc.integer({ min: 1, max: 21 }), async (from, count) => {
        const answer = await held.sendFrom(from + 1, all.slice(from, from + count));
        const expected = from > acked ? acked : Math.max(acked, Math.min(from + count, all.length));
        expect(answer).toMatchObject({ status: from > acked ? 409 : 200, json: { acked: expected } });
        acked = expected;
      }),
      { numRuns: 60 },
    );
    await held.sendFrom(1, all);

    expect((await outputOf(plane, held.task.id)).equals(Buffer.concat(lines))).toBe(true);
  });

  test("keep any bytes as they are", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const bytes = randomBytes(300_000);

    await held.send([
      started(100),
      piece(100, 0, bytes.subarray(0, 1000)),
      compressed(100, 1000, bytes.subarray(1000)),
    ]);

    expect((await outputOf(plane, held.task.id)).equals(bytes)).toBe(true);
  });

  test("name the gap when some are missing", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.send([started(100)]);

    const answer = await held.sendFrom(5, [started(101)]);

    expect(answer).toMatchObject({ status: 409, json: { code: "gap", acked: 1 } });
  });

  test("of both lanes go side by side", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);

    await held.send([{ ...started(0), kind: "spin_up" } as RecordBody], "launch");
    await held.send([{ type: "step-ended", step: 0, outcome: { kind: "succeeded" }, atMs: 1 }], "launch");
    await held.finish("success", "hi");

    const story = await storyOf(plane.controlPlane, held.pipeline);
    expect(story.filter((event) => event.type === "step-started").map((event) => event.step)).toEqual([0, 100]);
  });

  test("end with their task: a step that was still open is told as canceled", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.sendFrom(1, [
      started(100),
      started(101),
      { type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 },
    ]);

    await held.sendFrom(4, [{ type: "task-ended", status: "success", atMs: 3 }]);

    const told = await storyOf(plane.controlPlane, held.pipeline);
    expect(told.filter((event) => event.type === "step-ended")).toMatchObject([
      { step: 100, outcome: { kind: "succeeded" } },
      { step: 101, outcome: { kind: "canceled" } },
    ]);
  });

  test("of spinning up may end after their task", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.sendFrom(1, [{ type: "step-started", step: 0, name: "Spin up", kind: "spin_up", atMs: 1 }], "launch");

    await held.finish();
    await held.sendFrom(2, [{ type: "step-ended", step: 0, outcome: { kind: "succeeded" }, atMs: 2 }], "launch");

    const ends = (await storyOf(plane.controlPlane, held.pipeline)).filter(
      (event) => event.type === "step-ended" && event.step === 0,
    );
    expect(ends.filter((event) => event.type === "step-ended" && event.outcome.kind === "canceled")).toEqual([]);
  });

  test("may come after the end of the task from the agent that ended it", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.finish();

    expect(await held.sendFrom(3, [{ type: "task-ended", status: "failed", atMs: 3 }])).toMatchObject({ status: 200 });
  });

  test("that are new are refused after the task agent's last word", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.finish("success", "all there is\n");

    const answer = await held.sendFrom(5, [piece(100, 13, "and more\n")]);

    expect(answer).toMatchObject({ status: 401, json: { code: "unauthorized" } });
    expect((await outputOf(plane, held.task.id)).toString()).toBe("all there is\n");
  });

  const bad: [string, Buffer, string, number][] = [
    ["garbage", randomBytes(100).fill(0xff, 0, 4), "frame", 400],
    ["half a frame", encodeFrame({ type: "record", seq: 1, record: started(100) }).subarray(0, 20), "cut off", 400],
    ["a header that is no record", encodeFrame({ type: "hello" }), "the first record is malformed", 400],
    ["a number of 0", encodeFrame({ type: "record", seq: 0, record: started(100) }), "seq", 400],
    [
      "a step of the other lane",
      encodeFrame({ type: "record", seq: 1, record: started(5) }),
      "not one of the task lane's",
      400,
    ],
    [
      "bytes where none belong",
      encodeFrame({ type: "record", seq: 1, record: started(100) }, Buffer.from("x")),
      "is no output",
      400,
    ],
    [
      "numbers with a gap",
      Buffer.concat([1, 3].map((seq) => encodeFrame({ type: "record", seq, record: started(100) }))),
      "no gaps",
      400,
    ],
    ["a wrong length", frame(piece(100, 0, "abc"), { length: 4 }), "states 4 bytes and has 3", 400],
    ["a wrong length in zstd", frame(compressed(100, 0, Buffer.from("abc"), 4)), "states 4 bytes and has 3", 400],
    ["what is not zstd", frame(piece(100, 0, "abc"), { encoding: "zstd" }), "is not 3 bytes of zstd", 400],
    ["a bomb", frame(compressed(100, 0, Buffer.alloc(50_000_000), 1000)), "is not 1000 bytes of zstd", 400],
    ["a piece that is too big", frame(compressed(100, 0, Buffer.alloc(2_000_000))), "is over 1048576", 400],
    [
      "a body that is too big",
      Buffer.concat(
        Array.from({ length: 12 }, (_unused, index) =>
          frame(piece(100, 0, Buffer.alloc(maxRecordsPostBytes / 8)), {}, index + 1),
        ),
      ),
      "send it in parts",
      413,
    ],
  ];

  test.each(bad)("refuse %s in words", async (_title, body, words, status) => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);

    const answer = await held.post(body);

    expect(answer).toMatchObject({ status, json: { message: expect.stringContaining(words) } });
    expect((await held.send([started(100)])).status).toBe(200);
  });

  test("refuse a lane that does not exist", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);

    expect(await held.post(Buffer.alloc(0), "other" as "task")).toMatchObject({ status: 400 });
  });

  test("beyond the output limit are dropped with one notice", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const half = Buffer.alloc(700_000, "x");

    for (let index = 0; index < 4; index++) await held.send([piece(100, index * half.byteLength, half)]);

    const output = await outputOf(plane, held.task.id);
    expect(output.subarray(half.byteLength).toString("utf8")).toBe(
      "\n[the output limit of 1048576 bytes is reached: what follows is dropped]\n",
    );
    expect((await held.finish()).status).toBe(200);
  });
});

describe("output beyond the limit", () => {
  test("is not even decoded", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const whole = Buffer.alloc(1024 * 1024);
    const claimed: [RecordBody, Buffer] = [
      {
        type: "output",
        step: 100,
        stream: "stdout",
        offset: whole.byteLength,
        length: whole.byteLength,
        encoding: "zstd",
      },
      Buffer.from("no zstd"),
    ];

    expect(await held.send([started(100), compressed(100, 0, whole), claimed])).toMatchObject({ status: 200 });
    expect(await held.send([claimed])).toMatchObject({ status: 200 });

    const output = await outputOf(plane, held.task.id);
    expect(output.byteLength).toBeLessThan(whole.byteLength + 100);
  });
});

describe("watching", () => {
  test("tells the whole story in order, to one who comes late as well", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const early = storyOf(plane.controlPlane, held.pipeline);
    await held.finish("failed", "oh\u0000\n");

    const late = await storyOf(plane.controlPlane, held.pipeline);

    expect(await early).toEqual(late);
    expect(late.map((event) => ("status" in event ? `${event.type} ${event.status}` : event.type))).toEqual([
      "pipeline",
      "job queued",
      "task queued",
      "workflow running",
      "task running",
      "job running",
      "step-started",
      "output",
      "step-ended",
      "task failed",
      "job failed",
      "workflow failed",
      "pipeline-ended",
    ]);
    const output = late.find((event) => event.type === "output");
    expect(Buffer.from(output?.data ?? "", "base64").toString("utf8")).toBe("oh\u0000\n");
  });

  test("leaves output out when it is not wanted", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    await held.finish("success", "hi");

    const story = await storyOf(plane.controlPlane, held.pipeline, false);

    expect(story.some((event) => event.type === "output")).toBe(false);
  });

  test("ends with the signal, and knows what is not there", async () => {
    await using plane = await temporaryControlPlane();
    const held = await heldTask(plane);
    const stop = new AbortController();
    const watching = (async () => {
      for await (const event of plane.controlPlane.watch(held.pipeline, { signal: stop.signal, output: true }))
        expect(event.type).not.toBe("pipeline-ended");
    })();

    stop.abort(new Error("enough"));

    await expect(watching).rejects.toThrow("enough");
    await expect(storyOf(plane.controlPlane, "nope")).rejects.toThrow("there is no pipeline nope");
  });
});

function frame([record, bytes]: [RecordBody, Buffer], change: object = {}, seq = 1): Buffer {
  return encodeFrame({ type: "record", seq, record: { ...record, ...change } }, bytes);
}
