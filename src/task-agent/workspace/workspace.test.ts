import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { playTask, runStep } from "../../../test/fakes/task-agent.ts";
import { findHome, resolvePath } from "./places.ts";
import { PrivateDirectory } from "./private-directory.ts";
import { usedBytes } from "./usage.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cofferdam-workspace-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the workspace's limit", () => {
  test("ends the step that goes over it, in words, and later steps still report", async () => {
    await using agent = await playTask(
      ["mkdir d; head -c 20000000 /dev/urandom > d/f; sync d/f; sleep 1000", runStep("echo after", { when: "always" })],
      { workspaceBytes: 10_000_000 },
    );

    expect(agent.launch.outcomes()[100]).toMatchObject({
      kind: "failed",
      message: expect.stringMatching(/project holds \d+ MiB, and its limit is 10 MiB/),
    });
    expect(agent.launch.output(101)).toBe("after\n");
  }, 30_000);

  test("counts what is on disk, hard links once", async () => {
    mkdirSync(join(directory, "a/b"), { recursive: true });
    writeFileSync(join(directory, "a/b/f"), Buffer.alloc(1_000_000, 1));
    linkSync(join(directory, "a/b/f"), join(directory, "again"));

    const used = await usedBytes(directory, new AbortController().signal);

    expect(used).toBeGreaterThanOrEqual(1_000_000);
    expect(used).toBeLessThan(1_100_000);
  });
});

describe("places", () => {
  test.each([
    ["~/project", "/home/circleci/project", "/elsewhere", "/home/circleci"],
    ["~/project", "/project", undefined, "/"],
    ["~/project/", "/root/project", undefined, "/root"],
    ["~/project", "/tmp", "/root", "/root"],
    ["/work", "/work", "/root", "/root"],
    ["/work", "/work", undefined, "/"],
  ])("home of %s started in %s with HOME=%s is %s", (configured, start, home, expected) => {
    expect(findHome(configured, start, home)).toBe(expected);
  });

  test.each([
    ["~", "/root"],
    ["~/a/../b", "/root/b"],
    ["a", "/work/a"],
    [".", "/work"],
    ["/a/./b", "/a/b"],
    ["~user/x", "/work/~user/x"],
  ])("%s is %s", (path, expected) => {
    expect(resolvePath(path, "/root", "/work")).toBe(expected);
  });
});

describe("the private directory", () => {
  test("is made in the first place that can be written, and goes without a trace", () => {
    const home = new PrivateDirectory(["/nowhere", "/proc", directory]);

    expect(home.path).toMatch(new RegExp(`^${directory}/\\.cofferdam-`));
    expect(home.path).toBe(home.path);
    home.remove();
    expect(() => rmSync(home.path ?? "")).toThrow("ENOENT");
  });

  test("may not be to be had", () => {
    expect(new PrivateDirectory(["/nowhere"]).path).toBeUndefined();
  });
});
