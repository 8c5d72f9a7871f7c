import { once } from "node:events";
import { expect, test } from "vitest";
import { aPlan } from "../../../test/fakes/containers.ts";
import { anAgent } from "../../../test/fakes/launch-agents.ts";
import { createDummyEngine, type DummyProcess } from "../../engine/dummy/index.ts";
import { findSyncMarker, syncMarker, syncMarkerBytes } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { layGround } from "../ground.ts";
import { probe } from "./probe.ts";

const mebibyte = 1024 ** 2;
const never = new AbortController().signal;
const task = { task: "task-1", attempt: 1 };

/** A task agent in the middle of `restBytes` that nobody reads any more; then it answers the marker, and says `frames`. */
function busy(restBytes: number, frames: Buffer[]) {
  return async (process: DummyProcess): Promise<number> => {
    let heard = Buffer.alloc(0);
    while (!findSyncMarker(heard)) {
      const [chunk] = (await once(process.stdin, "data")) as [Buffer];
      // The marker comes last, after a lot of padding.
      heard = Buffer.concat([heard, chunk]).subarray(-2 * syncMarkerBytes);
    }
    const piece = Buffer.alloc(mebibyte / 16, "x");
    for (let said = 0; said < restBytes; said += piece.byteLength) await write(process, piece);
    await write(process, syncMarker(findSyncMarker(heard)?.nonce ?? Buffer.alloc(16)));
    for (const frame of frames) await write(process, frame);
    return 0;
  };
}

async function write({ stdout }: DummyProcess, bytes: Buffer): Promise<void> {
  await new Promise((resolve) => stdout.write(bytes, resolve));
}

async function probed(program: (process: DummyProcess) => Promise<number>) {
  const engine = createDummyEngine({ program });
  const { ground } = layGround({ ...anAgent, engine }, await engine.info(never));
  const id = await engine.create(aPlan(), never);
  const before = await engine.attach(id, never);
  await engine.start(id, never);
  before.close();
  return await probe(id, ground, never);
}

const greeting = [
  encodeFrame({ type: "hello", protocol: 1, version: "test" }),
  encodeFrame({ type: "accepted", ...task }),
];

function output(length: number): object {
  return { type: "output", step: 100, stream: "stdout", offset: 0, length, encoding: "identity" };
}

test("what a busy task agent had under way is not kept, and all that it says after its greeting is", async () => {
  const records = Array.from({ length: 200 }, (_, at) =>
    encodeFrame({ type: "record", seq: at + 1, record: output(8_192) }, Buffer.alloc(8_192, at)),
  );

  const found = await probed(busy(20 * mebibyte, [...greeting, ...records]));

  expect(found?.accepted).toMatchObject(task);
  expect(found?.attachment.stdout.readableLength).toBeLessThan(mebibyte);
  const said: Buffer[] = [];
  for await (const chunk of found?.attachment.stdout ?? []) said.push(chunk as Buffer);
  const whole = Buffer.concat(said);
  const expected = Buffer.concat([...greeting, ...records]);
  expect(whole.byteLength).toBe(syncMarkerBytes + expected.byteLength);
  expect(whole.subarray(syncMarkerBytes).equals(expected)).toBe(true);
});

test("one that answers with a frame that does not end is not listened to for long", async () => {
  const endless = Buffer.alloc(3 * mebibyte);
  endless.writeUInt32BE(3 * mebibyte, 0);

  const found = await probed(busy(0, [endless]));

  expect(found).toBeUndefined();
});
