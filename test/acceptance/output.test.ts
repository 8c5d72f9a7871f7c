import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openControlPlane } from "../../src/control-plane/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { leavesNothingBehind } from "../docker/leaves-nothing-behind.ts";
import { sharedHome } from "./support/fixtures.ts";
import { oneJob, play, stepsOf } from "./support/stage.ts";

leavesNothingBehind();

const home = await sharedHome();

/** A run holds some 120 MB by itself, and what its garbage collector has not looked at. */
const flatBytes = 400 * 1024 * 1024;

describe("a flood", () => {
  test("of 300 MB of lines is shown whole, in memory that stays flat", async () => {
    const lines = 300_000;
    const line = "x".repeat(999);
    const config = oneJob("machine: true", [
      `run: head -c ${lines * line.length} /dev/zero | tr '\\0' x | fold -w ${line.length}`,
    ]);

    const run = await home.exec([await home.project(config)], { discard: true });

    expect(run.code).toBe(0);
    expect(run.stdoutBytes).toBeGreaterThan(lines * "[build] \n".length + lines * line.length);
    expect(run.peakMemoryBytes).toBeLessThan(flatBytes);
  });

  test("of one line of 100 MB is shown in pieces, in memory that stays flat", async () => {
    const config = oneJob("machine: true", ["run: head -c 100000000 /dev/zero | tr '\\0' y"]);

    const run = await home.exec([await home.project(config)], { discard: true });

    expect(run.code).toBe(0);
    expect(run.stdoutBytes).toBeGreaterThan(100_000_000);
    expect(run.peakMemoryBytes).toBeLessThan(flatBytes);
  });
});

test("random bytes and NULs are stored byte for byte, and can be read by the next control plane", async () => {
  const make = "(head -c 20000000 /dev/urandom; printf 'a\\0\\0b') > bytes";
  const config = oneJob("machine: true", [`run: ${make}; sha256sum bytes`, "run: {name: bytes, command: cat bytes}"]);

  const { code, events, story } = await home.tell(config);

  expect(code).toBe(0);
  const sum = /[0-9a-f]{64}/.exec(story.job("build")?.output ?? "")?.[0];
  const taskId = events.find((event) => event.type === "task")?.taskId ?? "";
  const seen = createHash("sha256");
  for (const event of events)
    if (event.type === "output" && event.step === 101) seen.update(Buffer.from(event.data, "base64"));
  expect(seen.digest("hex")).toBe(sum);
  const stored = createHash("sha256");
  const controlPlane = await openControlPlane({
    dataDirectory: home.dataDirectory,
    clock: systemClock,
    route: () => undefined,
    sources: { open: async () => await Promise.reject(new Error("nothing is checked out")) },
    logLevel: "silent",
  });
  try {
    for await (const bytes of controlPlane.stepOutput(taskId, 101)) stored.update(bytes);
  } finally {
    await controlPlane.close({ graceMs: 0 });
  }
  expect(stored.digest("hex")).toBe(sum);
});

test("what is beyond the limit of output is dropped with one notice, and the job goes on", async () => {
  const steps = ["run: head -c 3000000 /dev/zero | tr '\\0' z", "run: touch done", "run: test -e done"];

  const { story } = await play(oneJob("machine: true", steps), { route: { limits: { outputBytes: 1_000_000 } } });

  expect(story.job("build")?.status).toBe("success");
  const output = story.job("build")?.output ?? "";
  expect(output.match(/z/g)?.length).toBe(1_000_000);
  expect(output.match(/output limit/g)?.length).toBe(1);
});

describe("an artifact that is no plain file of the workspace", () => {
  test("is refused with a notice, and the job goes on", async () => {
    const steps = [
      "run: mkdir out && cd out && echo kept > kept.txt && ln -s kept.txt inside && ln -s /etc/passwd outside && ln -s ../../.. up && mkfifo fifo && ln -s /nowhere dangling",
      "store_artifacts: {path: out}",
      "store_artifacts: {path: out/outside, name: link}",
      "store_artifacts: {path: out/fifo, name: fifo}",
      "store_artifacts: {path: /dev/zero, name: device}",
      "store_artifacts: {path: nothing, name: nothing}",
      'run: {name: after, command: "true"}',
    ];

    const { story } = await play(oneJob("machine: true", steps));

    const job = story.job("build");
    expect(job?.status).toBe("success");
    expect(job?.artifacts.toSorted()).toEqual(["0/out/inside", "0/out/kept.txt"]);
    expect(job?.output).toMatch(/Not stored: .*out\/outside: it is a link to \/etc\/passwd, outside/);
    expect(job?.output).toMatch(/Not stored: .*out\/up: it is a link to/);
    expect(job?.output).toMatch(/Not stored: .*out\/fifo: it is a fifo/);
    expect(job?.output).toMatch(/Not stored: .*out\/dangling: it is a link to nothing/);
    expect(job?.output).toMatch(/Not stored: \/dev\/zero: it is a device/);
    expect(Object.values(stepsOf(story, "build"))).toEqual(Array.from({ length: 7 }, () => "succeeded"));
  });
});
