import { expect, test } from "vitest";
import { resolveWorkingDirectory } from "./working-directory.ts";

test.each([
  ["~/project", "/home/me/project"],
  ["~", "/home/me"],
  ["/srv//app/./x/../y/", "/srv/app/y"],
  ["project", "/project"],
  ["/process", "/process"],
])("puts %s at %s", (configured, path) => {
  expect(resolveWorkingDirectory(configured, "/home/me")).toEqual({ path });
});

test.each([
  "/",
  "",
  "..",
  "/proc",
  "/proc/self",
  "/sys/fs",
  "/dev/shm",
  "/opt",
  "/opt/cofferdam",
  "/x/../dev",
  "~root/x",
  "a\0b",
])("refuses %j, and says why", (configured) => {
  expect(resolveWorkingDirectory(configured, "/home/me")).toHaveProperty("problem");
});

test("trusts no home that an image claims", () => {
  expect(resolveWorkingDirectory("~/x", "/proc/1")).toHaveProperty("problem");
});
