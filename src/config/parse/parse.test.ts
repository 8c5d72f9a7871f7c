import { expect, test } from "vitest";
import { Reporter } from "../diagnostics/reporter.ts";
import { Source } from "../diagnostics/source.ts";
import { get, plain } from "./node.ts";
import { parse } from "./parse.ts";

function read(text: string): { value: unknown; codes: string[] } {
  const reporter = new Reporter();
  const node = parse(new Source("c.yml", text), reporter);
  return {
    value: node && plain(node),
    codes: reporter.diagnostics.map((one) => `${one.code} ${one.line}:${one.column}`),
  };
}

test.each([
  ["yes", true],
  ["Off", false],
  ["TRUE", true],
  ["yEs", "yEs"],
  ["y", "y"],
  ["~", null],
  ["", null],
  [".", "."],
  ["3.10", 3.1],
  ["1e3", 1000],
  ["0x1f", 31],
  ["+12", 12],
  ["1:30", "1:30"],
  ["1_000", "1_000"],
  ["2019-01-01", "2019-01-01"],
  ["12345678901234567890", "12345678901234567890"],
  ["'yes'", "yes"],
  ["!!str yes", "yes"],
  ["!!int 5", 5],
])("%s is read as %j", (written, value) => {
  expect(read(`k: ${written}`)).toEqual({ value: { k: value }, codes: [] });
});

test("own keys win over merged ones, the first of several maps wins, and << may come again", () => {
  const text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: *a, <<: *b, x: 0}\nd: {<<: [*b, *a]}\n";

  const { value, codes } = read(text);

  expect(codes).toEqual([]);
  expect(value).toMatchObject({ c: { x: 0, y: 1, z: 2 }, d: { x: 1, y: 2, z: 2 } });
});

test("an anchor that is made again means the newer one from there on", () => {
  expect(read("a: &x 1\nb: *x\nc: &x 2\nd: *x\n").value).toEqual({ a: 1, b: 1, c: 2, d: 2 });
});

test("keys are texts, whatever they look like, and none is special", () => {
  const { value } = read("1: a\nyes: b\n__proto__: {x: 1}\nconstructor: c\n");

  expect(Object.entries(value as object)).toEqual([
    ["1", "a"],
    ["yes", "b"],
    ["__proto__", { x: 1 }],
    ["constructor", "c"],
  ]);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
});

test.each([
  ["a: 1\na: 2\n", ["duplicate-key 2:1"]],
  ["a: 1\na: 1\n", ["repeated-key 2:1"]],
  ["a: *b\n", ["yaml-alias 1:4"]],
  ["<<: 1\n", ["yaml-merge 1:1"]],
  ["? [a]\n: b\n", ["yaml-key 1:3"]],
  ["a: 1\n---\nb: 2\n", ["yaml-documents 2:1"]],
  ["a: [b\nc: d\n", ["yaml-syntax 2:1"]],
  ["a:\n\tb: c\n", ["yaml-syntax 2:1"]],
  ["a: !!int x\n", ["yaml-tag 1:10"]],
])("%j is told as %j", (text, codes) => {
  expect(read(text).codes).toEqual(codes);
});

test("every node knows where it stands", () => {
  const source = new Source("c.yml", "jobs:\r\n  build:\r\n    - näme: x\r\n");
  const node = parse(source, new Reporter());
  const list = get(get(node, "jobs"), "build");
  const entry = list?.kind === "list" && list.items[0]?.kind === "map" ? list.items[0].entries.get("näme") : undefined;

  expect(source.position(entry?.key.start ?? 0)).toEqual({ line: 3, column: 7 });
  expect(source.text.slice(entry?.value.start, entry?.value.end)).toBe("x");
  expect(source.line(3)).toBe("    - näme: x");
});
