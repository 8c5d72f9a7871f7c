import { expect, test } from "vitest";
import { passesFilters } from "./filters.ts";

test.each([
  ['pipeline.git.tag == ""', { branch: "main" }, false],
  ['pipeline.git.branch == ""', { tag: "v1" }, false],
  ["not pipeline.git.tag", { branch: "main" }, true],
  ["pipeline.git.tag matches /.*/", { branch: "main" }, false],
  ['pipeline.git.branch != "main"', {}, false],
])("%s: a branch or tag that is absent is undefined, no empty text (%o)", (expression, reference, expected) => {
  expect(passesFilters(expression, reference)).toBe(expected);
});
