import { expect, test } from "vitest";
import { isFixed, newestFirst, resolveVersion } from "./versions.ts";

const available = ["1.2.9", "1.2.10", "1.20.0", "1.3.0", "2.0.0", "10.0.0", "dev:first", "0.0.0-head"];

test.each([
  ["1.2.9", "1.2.9", "a full version is itself"],
  ["1.2", "1.2.10", "a minor version takes its newest patch, by number"],
  ["1", "1.20.0", "a major version takes its newest minor"],
  ["volatile", "10.0.0", "volatile is the newest release"],
  ["dev:first", "dev:first", "a development label is itself"],
  ["0.0.0-head", "0.0.0-head", "any label that is there is itself"],
  ["1.2.11", undefined, "a full version that is not there is not replaced"],
  ["3", undefined, "a range without a version is nothing"],
  ["dev:second", undefined, "a label that is not there is nothing"],
  ["0", undefined, "a range takes releases only"],
])("@%s is %s: %s", (requested, resolved, _rule) => {
  expect(resolveVersion(requested, available)).toBe(resolved);
});

test("versions are listed newest first, labels last", () => {
  expect(available.toSorted(newestFirst)).toEqual([
    "10.0.0",
    "2.0.0",
    "1.20.0",
    "1.3.0",
    "1.2.10",
    "1.2.9",
    "0.0.0-head",
    "dev:first",
  ]);
});

test("only full versions never change", () => {
  expect(available.filter(isFixed)).toEqual(["1.2.9", "1.2.10", "1.20.0", "1.3.0", "2.0.0", "10.0.0"]);
});
