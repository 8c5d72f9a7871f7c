import { expect, test } from "vitest";
import { aTask } from "../../../test/fakes/tasks.ts";
import { EngineError, type EngineErrorCode } from "../../engine/engine.ts";
import { ConfigFault, type Death, endOfDeath, endOfError } from "./end.ts";
import { bytesInWords, tailInWords } from "./words.ts";

const { limits } = aTask().container;

function death(changes: Partial<Death>): Death {
  return { exit: { code: 1, outOfMemory: false }, begun: true, limits, stderr: "", ...changes };
}

test.each<[string, Partial<Death>, object]>([
  [
    "out of memory",
    { exit: { code: 137, outOfMemory: true } },
    { kind: "ended", status: "failed", message: expect.stringContaining("1 GiB") },
  ],
  [
    "killed",
    { exit: { code: 137, outOfMemory: false } },
    { kind: "infrastructure", message: "the container was killed from outside" },
  ],
  [
    "killed by us",
    { exit: { code: 137, outOfMemory: false }, forced: { status: "timedout", reason: "too long" } },
    { kind: "ended", status: "timedout", message: expect.stringContaining("too long") },
  ],
  [
    "a crash",
    { stderr: "SyntaxError" },
    {
      kind: "infrastructure",
      message: "the task agent ended in the middle of the task, with code 1. It said: SyntaxError",
    },
  ],
  [
    "a crash at the start",
    { begun: false },
    { kind: "infrastructure", message: expect.stringContaining("before it took the task over") },
  ],
  [
    "something killed for memory long ago",
    { exit: { code: 0, outOfMemory: true } },
    { kind: "infrastructure", message: expect.stringContaining("with code 0") },
  ],
  [
    "an engine's words",
    { exit: { code: 128, outOfMemory: false, error: "cgroup gone" } },
    { kind: "infrastructure", message: "the container could not run: cgroup gone" },
  ],
])("classes %s", (_what, changes, end) => {
  expect(endOfDeath(death(changes))).toEqual(end);
});

test.each<[EngineErrorCode, string]>([
  ["image-not-found", "ended"],
  ["image-denied", "ended"],
  ["bad-reference", "ended"],
  ["wrong-architecture", "ended"],
  ["not-startable", "ended"],
  ["registry", "infrastructure"],
  ["unreachable", "infrastructure"],
  ["disk-full", "infrastructure"],
  ["failed", "infrastructure"],
])("takes the engine's %s for: %s", (code, kind) => {
  expect(endOfError(new EngineError(code, "words"))).toMatchObject({ kind, message: "words" });
});

test("takes the config's fault for the job's failure, and what nobody foresaw for infrastructure", () => {
  expect(endOfError(new ConfigFault("no"))).toMatchObject({ kind: "ended", status: "failed" });
  expect(endOfError(new RangeError("no"))).toMatchObject({ kind: "infrastructure" });
});

test.each([
  [512, "512 bytes"],
  [1536, "1.5 KiB"],
  [4 * 1024 ** 3, "4 GiB"],
])("says %i bytes as %s", (bytes, words) => {
  expect(bytesInWords(bytes)).toBe(words);
});

test("quotes what a process wrote without what upsets a terminal", () => {
  expect(tailInWords(Buffer.from("a\u001b[2J\n\u202eb\u0000c\n"))).toBe("a [2J b c");
  expect(tailInWords(Buffer.from("x".repeat(2_000)))).toHaveLength(501);
});
