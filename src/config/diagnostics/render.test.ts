import { expect, test } from "vitest";
import { compileConfig } from "../index.ts";
import { renderDiagnostic, renderDiagnostics } from "./render.ts";

async function rendered(text: string): Promise<string> {
  const { diagnostics, texts } = await compileConfig(text, { file: "c.yml" });
  return renderDiagnostics(diagnostics, texts);
}

test("shows place, way, cause, the line with a caret, and what to do", async () => {
  const text = "version: 2.1\njobs:\n  build:\n    docker: [{image: busybox}]\n    steps: [chekout]\n";

  expect(await rendered(text)).toBe(`c.yml:5:13 error unknown-command
Error calling workflow: 'workflow'
Error calling job: 'build'
Cannot find a definition for command named chekout
  5 |     steps: [chekout]
    |             ^^^^^^^
Hint: Did you mean "checkout"?
`);
});

test("violations of the schema come as CircleCI lists them first", async () => {
  const text = "version: 2.1\nparameters:\n  p: {q: 1}\njobs: {}\n";

  expect((await rendered(text)).split("\n").slice(0, 6)).toEqual([
    "ERROR IN CONFIG FILE:",
    "[#/parameters/p] 3 schema violations found",
    "1. [#/parameters/p] required key [default] not found",
    "2. [#/parameters/p] required key [type] not found",
    "3. [#/parameters/p] extraneous key [q] is not permitted",
    "|   Permitted keys:",
  ]);
});

test("a caret stands under its text behind tabs and far to the right", async () => {
  const text = `version: 2.1\njobs:\n  build: {docker: [{image: ${"x".repeat(300)}}], steps:\t[nothing]}\n`;
  const [, line = "", caret = ""] = /\n( {2}3 \|.*)\n( {4}\|.*)\n/.exec(await rendered(text)) ?? [];

  expect(line.length).toBeLessThan(150);
  expect(line.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("nothing");
});

test("control characters of a config reach no terminal", async () => {
  const text = 'version: 2.1\njobs:\n  build:\n    docker: [{image: a}]\n    steps: ["\\e[31m\\u202Ered"]\n';

  expect(await rendered(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/u);
});

test("a finding whose text is not at hand is shown without it", async () => {
  const { diagnostics } = await compileConfig("version: 3\n", { file: "c.yml" });
  const [finding] = diagnostics;

  expect(finding && renderDiagnostic(finding, new Map())).not.toContain("^");
});
