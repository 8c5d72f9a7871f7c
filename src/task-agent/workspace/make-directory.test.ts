import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeDirectory } from "./make-directory.ts";

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "cofferdam-directory-"));
});

afterEach(() => rmSync(place, { recursive: true }));

test("makes a directory with all that is missing above it, and leaves one that is there", () => {
  for (let times = 0; times < 2; times++) makeDirectory(join(place, "a/b/../c//d/"));

  expect(statSync(join(place, "a/c/d")).isDirectory()).toBe(true);
});

test("goes through links to directories", () => {
  symlinkSync(place, join(place, "link"));

  makeDirectory(join(place, "link/inside"));

  expect(statSync(join(place, "inside")).isDirectory()).toBe(true);
});

test.each(["file", "file/below"])("says that a file is in the way of %s", (name) => {
  writeFileSync(join(place, "file"), "");

  expect(() => makeDirectory(join(place, name))).toThrow("EEXIST");
});

test("ends where nothing can be made and the system says that there is no such thing", () => {
  expect(() => makeDirectory("/proc/no/such/thing")).toThrow("ENOENT");
});
