import { expect, test } from "vitest";
import { compileJavaPattern } from "./java-pattern.ts";

function split(pattern: string, names: string[]): string[] | undefined {
  const compiled = compileJavaPattern(pattern);
  return compiled && names.filter((name) => compiled.matches(name));
}

const branches = ["main", "develop", "release/1.0", "release/2.0-rc", "dependabot/npm/x", "docs/fix", "a/docs/b", ""];

test.each([
  ["main|develop", ["main", "develop"]],
  ["^main$|^develop$", ["main", "develop"]],
  ["release", []],
  ["release/.*", ["release/1.0", "release/2.0-rc"]],
  ["^(?!main$).*", branches.slice(1)],
  ["^(?!main|develop)(?!release/).*$", ["dependabot/npm/x", "docs/fix", "a/docs/b", ""]],
  ["^(?!.*(docs|npm)).+$", ["main", "develop", "release/1.0", "release/2.0-rc"]],
  ["(?=release)[^-]*", ["release/1.0"]],
  ["^((?!docs/).)*$", ["main", "develop", "release/1.0", "release/2.0-rc", "dependabot/npm/x", ""]],
  ["(?:(?!docs/|main).)+", ["develop", "release/1.0", "release/2.0-rc", "dependabot/npm/x"]],
  [".*(?<!-rc)", branches.filter((name) => !name.endsWith("-rc"))],
  ["(?!(a[)]|m)).*", branches.filter((name) => !name.startsWith("m"))],
] as [string, string[]][])("%s matches what Java's does", (pattern, matched) => {
  expect(split(pattern, branches)).toEqual(matched);
});

test.each(["(", "a(?!b)c", "(?!a)b|c", "(a)\\1", "(?!a)*b", "(?!a", "[", "\\"])(
  "%s is refused, not misread",
  (pattern) => {
    expect(compileJavaPattern(pattern)).toBeUndefined();
  },
);

test("a pattern that makes backtracking engines explode is decided", () => {
  expect(compileJavaPattern("(?!(x+x+)+y)(a+)+")?.matches(`${"a".repeat(50_000)}b`)).toBe(false);
});
