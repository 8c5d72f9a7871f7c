import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { compileSegment, glob } from "./glob.ts";
import { parseJunit } from "./junit.ts";
import { splitWords } from "./shell.ts";

describe("a shell's command line", () => {
  test.each([
    ["/bin/bash -eo pipefail", ["/bin/bash", "-eo", "pipefail"]],
    ["  sh   -c 'a b'\"c $d\"e ", ["sh", "-c", "a bc $de"]],
    [String.raw`a\ b "c\"d" '\n'`, ["a b", 'c"d', String.raw`\n`]],
    ["", []],
  ])("%j is %j", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });
});

describe("a glob", () => {
  // Of the table of Go's own tests of filepath.Match.
  test.each([
    ["abc", "abc", true],
    ["*", "abc", true],
    ["*c", "abc", true],
    ["a*", "ab/c", false],
    ["a*b*c*d*e*", "axbxcxdxe", true],
    ["a*b?c*x", "abxbbxdbxebxczzx", true],
    ["ab[c]", "abc", true],
    ["ab[b-d]", "abc", true],
    ["ab[e-g]", "abc", false],
    ["ab[^c]", "abc", false],
    ["ab[^e-g]", "abc", true],
    [String.raw`a\*b`, "a*b", true],
    [String.raw`a\*b`, "ab", false],
    ["a?b", "a☺b", true],
    ["a[^a]b", "a☺b", true],
    ["[a-ζ]*", "α", true],
    ["*[a-ζ]", "A", false],
    [String.raw`[\]a]`, "]", true],
    [String.raw`[\-]`, "-", true],
    [String.raw`[x\-]`, "-", true],
    [String.raw`[x\-]`, "z", false],
    ["*x", "xxx", true],
    ["a.b", "axb", false],
    ["(a|b)+$", "(a|b)+$", true],
  ])("%s on %s: %s", (pattern, name, matches) => {
    expect(compileSegment(pattern).test(name)).toBe(matches);
  });

  test.each(["[", "[a", "a[", "[^", String.raw`a\ `.trim()])("%s is no pattern", (pattern) => {
    expect(() => compileSegment(pattern)).toThrow(SyntaxError);
  });

  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "cofferdam-glob-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("finds names at every depth that it has segments for, dot files too", () => {
    for (const name of ["a/x/1.txt", "a/y/2.txt", "b/x/3.txt", ".hidden/x/4.txt", "file"]) {
      mkdirSync(join(directory, name, ".."), { recursive: true });
      writeFileSync(join(directory, name), "");
    }

    expect(glob(directory, "*/x/*.txt").sort()).toEqual([".hidden/x/4.txt", "a/x/1.txt", "b/x/3.txt"]);
    expect(glob(directory, "./a/*")).toEqual(["a/x", "a/y"]);
    expect(glob(directory, "file/*")).toEqual([]);
    expect(glob(directory, ".")).toEqual([""]);
  });
});

describe("JUnit", () => {
  test.each([
    ["a lone suite", '<testsuite name="s"><testcase name="t"/></testsuite>', 1],
    [
      "suites in suites",
      '<testsuites><testsuite><testsuite><testcase name="t"/></testsuite></testsuite></testsuites>',
      1,
    ],
    ["an empty suite", "<testsuites><testsuite/></testsuites>", 0],
    ["something else", "<html></html>", 0],
  ])("of %s", (_name, xml, count) => {
    expect(parseJunit(xml)).toHaveLength(count);
  });

  test("that is none is refused", () => {
    expect(() => parseJunit("<testsuite><testcase></testsuite>")).toThrow(/testcase/);
  });
});
