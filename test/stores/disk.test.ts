import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { agentApi } from "../../src/protocol/agent-api.ts";
import { piece, started } from "../fakes/fake-agent.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../fakes/temporary-control-plane.ts";
import { ServerProcess } from "./support/server-process.ts";

const mebibyte = 1024 * 1024;

/** Words that start a command which alone sees a small disk at `at`, with a copy of `from`; mounted anew with `options`. */
function onSmallDisk({ at, from, options }: { at: string; from: string; options: string }): string[] {
  const script = `mount -t tmpfs -o size=24m tmpfs "$1" && cp -a "$2"/. "$1" && mount -o remount,${options} "$1" && shift 2 && exec "$@"`;
  const flags = process.getuid?.() === 0 ? ["--mount"] : ["--mount", "--map-root-user"];
  return ["unshare", ...flags, "sh", "-c", script, "sh", at, from];
}

async function claimedTask() {
  const plane = await temporaryControlPlane({ onSqlite: true });
  const { id } = await plane.start(configOf(["build"]));
  const held = await plane.agent.claim(plane.token);
  if (!held) throw new Error("no task");
  const at = join(plane.directory, "disk");
  await mkdir(at);
  return { plane, id, held, at, from: join(plane.directory, "data") };
}

test("a full disk is said, loses nothing that was acknowledged, and is over when there is room", {
  timeout: 60_000,
}, async () => {
  const { plane, held, at, from } = await claimedTask();
  await using _plane = plane;
  const before = onSmallDisk({ at, from, options: "rw" });
  await using server = await ServerProcess.start({ COFFERDAM_DATA_DIRECTORY: at }, before);
  const task = held.over(server.agent);
  const text = "x".repeat(200_000);
  const send = async (seq: number) =>
    await task.sendFrom(seq, [seq === 1 ? started(100) : piece(100, (seq - 2) * text.length, text)]);
  expect((await send(1)).status).toBe(200);
  // Its disk, as nobody else sees it.
  const seen = join(`/proc/${server.process.pid}/root`, at);

  await fill(join(seen, "filler"));
  let acked = 1;
  let answer = await send(acked + 1);
  // What the database had room for in its file still goes in.
  for (; answer.status === 200; answer = await send(acked + 1)) acked += 1;
  const cache = await task.call("PUT", `${agentApi.cache}?key=k`, { body: Buffer.alloc(mebibyte) });
  const ready = await server.agent.call("GET", "/live");
  await rm(join(seen, "filler"));
  const again = await send(acked + 1);
  const ended = await task.sendFrom(acked + 2, [{ type: "task-ended", status: "success", atMs: 1 }]);

  const full = {
    status: 503,
    json: { code: "unavailable", message: expect.stringMatching(/disk of the .* is full; make room on it/) },
  };
  expect(answer).toMatchObject(full);
  expect(cache).toMatchObject(full);
  expect(ready.status).toBe(200);
  expect(again).toMatchObject({ status: 200, json: { acked: acked + 1 } });
  expect(ended.status).toBe(200);
});

test("a disk that is read-only is said at the start", { timeout: 60_000 }, async () => {
  const { plane, id, held, at, from } = await claimedTask();
  await using _plane = plane;
  const before = onSmallDisk({ at, from, options: "ro" });

  const start = ServerProcess.start({ COFFERDAM_DATA_DIRECTORY: at }, before);

  await expect(start).rejects.toThrow(/^control plane: the database cannot be (written|opened)[^\n]*\n$/);
  await held.finish();
  expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "success" });
});

/** To the last byte. */
async function fill(file: string): Promise<void> {
  const handle = await open(file, "w");
  try {
    for (const bytes of [mebibyte, 4096, 1]) {
      const chunk = Buffer.alloc(bytes, 1);
      for (let written = bytes; written === bytes; )
        written = await handle.write(chunk).then(
          ({ bytesWritten }) => bytesWritten,
          () => 0,
        );
    }
  } finally {
    await handle.close();
  }
}
