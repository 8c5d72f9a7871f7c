import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { startAgent, workOf } from "../../test/fakes/task-agent.ts";
import { systemClock } from "../lib/clock.ts";
import type { TaskAgentOptions } from "./index.ts";
import { rehearse } from "./rehearsal.ts";

function optionsOf(startDirectory: string, environment: TaskAgentOptions["environment"]): TaskAgentOptions {
  return {
    input: new PassThrough(),
    output: new PassThrough(),
    version: "test",
    clock: systemClock,
    environment,
    startDirectory,
    binDirectory: "/nowhere",
    mkfifo: ["mkfifo"],
    ownsContainer: true,
  };
}

test("a rehearsal runs a line in the image's shell, says nothing on the channel and leaves nothing behind", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-rehearsal-"));
  const workspace = join(directory, "project");
  mkdirSync(workspace);
  const heard = join(directory, "heard");
  // The shell takes this for its echo.
  const echo = `() { builtin echo "$@" >>${heard}; }`;
  const options = optionsOf(workspace, { PATH: process.env["PATH"], "BASH_FUNC_echo%%": echo });

  await rehearse(options);

  expect(readFileSync(heard, "utf8")).toBe("rehearsed\n");
  expect(options.output).toHaveProperty("readableLength", 0);
  expect(readdirSync(workspace)).toEqual([]);
  expect(readdirSync(directory).toSorted()).toEqual(["heard", "project"]);
  rmSync(directory, { recursive: true });
});

test("a rehearsal that cannot be held is no trouble", async () => {
  await expect(rehearse(optionsOf("/dev/null/nowhere", {}))).resolves.toBeUndefined();
});

test("who has waited for a moment is idle, and takes its task as any other", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using agent = startAgent({ whenIdle: resolve });
  await promise;

  agent.launch.handOver(workOf(["echo whole"]));

  await agent.done;
  expect(agent.launch.output(100)).toContain("whole");
});

test("whoever has got its task is not idle, however long that takes", async () => {
  let idle = false;
  await using agent = startAgent({ whenIdle: () => (idle = true) });

  agent.launch.handOver(workOf(["sleep 0.3"]));

  await agent.done;
  expect(idle).toBe(false);
});
