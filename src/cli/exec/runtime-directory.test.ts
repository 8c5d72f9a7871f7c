import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeRuntimeDirectory, runtimeDirectoryOf } from "./runtime-directory.ts";

let base = "";
let directory = "";
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-runtime-"));
  directory = runtimeDirectoryOf({ XDG_RUNTIME_DIR: join(base, "of-user") });
});
afterEach(() => rmSync(base, { recursive: true }));

test("is made for the user alone, and taken again", async () => {
  await makeRuntimeDirectory(directory);
  await makeRuntimeDirectory(directory);

  expect(lstatSync(directory).mode & 0o777).toBe(0o700);
  expect(lstatSync(dirname(directory)).mode & 0o777).toBe(0o700);
});

test("is refused where others can write into it", async () => {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o777);

  await expect(makeRuntimeDirectory(directory)).rejects.toThrow(/written by another user/);
});

test("is refused where others could move it away: they made its parent first", async () => {
  mkdirSync(dirname(directory), { recursive: true });
  chmodSync(dirname(directory), 0o777);

  await expect(makeRuntimeDirectory(directory)).rejects.toThrow(`${dirname(directory)} belongs to`);
});

test("is taken behind a link of the user's own", async () => {
  mkdirSync(join(base, "real"), { mode: 0o700 });
  symlinkSync("real", dirname(directory));

  await expect(makeRuntimeDirectory(directory)).resolves.toBeUndefined();
});

test("is taken in a directory that all share and in which everybody keeps their own, as in /tmp", async () => {
  mkdirSync(dirname(directory), { recursive: true });
  chmodSync(dirname(directory), 0o1777);

  await expect(makeRuntimeDirectory(directory)).resolves.toBeUndefined();
});
