import { expect, test } from "vitest";
import { compileConfig } from "./index.ts";
import { limits } from "./parse/limits.ts";

const job = "jobs:\n  build:\n    docker: [{image: busybox}]\n    steps: [checkout]\n";

function commands(count: number, body: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `  c${index + 1}: ${body(index)}\n`).join("");
}

const bombs: Record<string, { text: string; code: string }> = {
  "aliases of aliases": {
    text: `version: 2.1\na: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghi"
      .split("")
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${"abcdefgh"[index]}`).join(",")}]\n`)
      .join("")}${job}`,
    code: "too-big",
  },
  "aliases inside anchors, deep without looking deep": {
    text: `version: 2.1\na0: &a0 {x: 1}\n${Array.from({ length: 500 }, (_, index) => `a${index + 1}: &a${index + 1} {x: *a${index}}\n`).join("")}${job}`,
    code: "too-deep",
  },
  "lists ten thousand deep": { text: `version: 2.1\nx: ${"[".repeat(10_000)}`, code: "too-deep" },
  "dashes ten thousand deep": { text: `${"- ".repeat(10_000)}a`, code: "too-deep" },
  "maps ten thousand deep": { text: `x: ${"{a: ".repeat(10_000)}`, code: "too-deep" },
  "a text that is too long": { text: "x".repeat(limits.text + 1), code: "too-big" },
  "a list of a million": { text: `version: 2.1\nx: [${"1,".repeat(1_000_000)}1]\n`, code: "too-big" },
  "a matrix of a million": {
    text: `version: 2.1\n${job.replace(
      "    docker",
      `    parameters: {${"abcdef"
        .split("")
        .map((name) => `${name}: {type: integer}`)
        .join(", ")}}\n    docker`,
    )}workflows:\n  w:\n    jobs:\n      - build:\n          matrix:\n            parameters: {${"abcdef"
      .split("")
      .map((name) => `${name}: [0,1,2,3,4,5,6,7,8,9]`)
      .join(", ")}}\n`,
    code: "too-big",
  },
  "commands that call commands twice each": {
    text: `version: 2.1\ncommands:\n  c0: {steps: [checkout]}\n${commands(40, (index) => `{steps: [c${index}, c${index}]}`)}${job.replace("[checkout]", "[c40]")}`,
    code: "too-big",
  },
  "a text that doubles from command to command": {
    text: `version: 2.1\ncommands:\n  c0: {parameters: {s: {type: string}}, steps: [run: << parameters.s >>]}\n${commands(40, (index) => `{parameters: {s: {type: string}}, steps: [c${index}: {s: "<< parameters.s >><< parameters.s >>"}]}`)}${job.replace("[checkout]", "[c40: {s: aaaaaaaa}]")}`,
    code: "too-big",
  },
  "conditions that nest": {
    text: `version: 2.1\n${job.replace("[checkout]", `[when: {condition: ${"{not: ".repeat(110)}true${"}".repeat(110)}, steps: [checkout]}]`)}`,
    code: "bad-condition",
  },
  "steps in steps, over many commands": {
    text: `version: 2.1\ncommands:\n  c0: {steps: [checkout]}\n${commands(40, (index) => `{steps: [${"when: {condition: true, steps: [".repeat(30)}c${index}${"]}".repeat(30)}]}`)}${job.replace("checkout", "c40")}`,
    code: "too-deep",
  },
  "parentheses twenty thousand deep": {
    text: `version: 2.1\n${job}workflows:\n  w:\n    when: ${"(".repeat(20_000)}true${")".repeat(20_000)}\n    jobs: [build]\n`,
    code: "bad-expression",
  },
};

test.each(Object.entries(bombs))("%s end in a finding", async (_, { text, code }) => {
  const { compiled, diagnostics } = await compileConfig(text);

  expect(compiled).toBeUndefined();
  expect(diagnostics.map((one) => one.code)).toContain(code);
  expect(diagnostics.filter((one) => one.code === "too-deep").length).toBeLessThan(2);
});

test("a pattern that makes other engines hang is answered", async () => {
  const text = `version: 2.1\n${job}workflows:\n  w:\n    when: {matches: {pattern: "^(a+)+$", value: ${"a".repeat(50_000)}!}}\n    jobs: [build]\n`;

  const { compiled, diagnostics } = await compileConfig(text);

  expect(diagnostics.filter((one) => one.severity === "error")).toEqual([]);
  expect(compiled?.workflows).toEqual({});
});

test("tags that never end, or come by the thousand, are read once", async () => {
  const texts = [
    "<<".repeat(200_000),
    `<<${" ".repeat(200_000)}x`,
    "<< a ".repeat(100_000),
    "<<# parameters.x >>".repeat(20_000),
  ];

  for (const text of texts) {
    const { diagnostics } = await compileConfig(`version: 2.1\n${job.replace("checkout", `run: '${text}'`)}`);
    expect(diagnostics.length).toBeLessThan(3);
  }
});

test("a thousand mistakes are told up to a limit", async () => {
  const steps = Array.from({ length: 1000 }, (_, index) => `foo${index}`).join(", ");

  const { diagnostics } = await compileConfig(`version: 2.1\n${job.replace("checkout", steps)}`);

  expect(diagnostics).toHaveLength(200);
});

test("a matrix of a thousand jobs compiles", async () => {
  const numbers = Array.from({ length: 1000 }, (_, index) => index).join(", ");
  const text = `version: 2.1\n${job.replace("    docker", "    parameters: {n: {type: integer}}\n    docker").replace("checkout", "run: echo << parameters.n >>")}workflows:\n  w:\n    jobs: [build: {matrix: {parameters: {n: [${numbers}]}}}]\n`;

  const { compiled } = await compileConfig(text);

  expect(Object.keys(compiled?.jobs ?? {})).toHaveLength(1000);
  expect(compiled?.jobs["build-999"]?.steps).toEqual([{ run: { command: "echo 999" } }]);
});
