import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compileConfig, renderDiagnostics } from "../../src/config/index.ts";
import { orbFolder } from "../../src/orbs/index.ts";

const directory = join(import.meta.dirname, "../configs");
const configs = readdirSync(directory)
  .filter((file) => /^\d\d-[\w-]+\.yml$/.test(file))
  .map((file) => readFileSync(join(directory, file)));

/** Pieces that mean something to YAML or to the compiler, and bytes that mean nothing at all. */
const piece = fc.oneof(
  fc.constantFrom(
    "<<",
    ">>",
    "<< ",
    "*a ",
    "&a ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "\t",
    '"',
    "|",
    "%",
    "!!x ",
    "---\n",
  ),
  fc.constantFrom(
    "matrix",
    "requires",
    "parameters.",
    "pipeline.",
    "<<# x >>",
    "__proto__",
    "constructor",
    "null",
    "~",
    "1e999",
  ),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);

const mutation = fc.record({ at: fc.nat(), cut: fc.nat({ max: 12 }), insert: fc.option(piece, { nil: "" }) });

function mutated(config: Buffer, mutations: readonly { at: number; cut: number; insert: string }[]): string {
  let text = config.toString("latin1");
  for (const { at, cut, insert } of mutations) {
    const from = at % (text.length + 1);
    text = text.slice(0, from) + insert + text.slice(from + cut);
  }
  return Buffer.from(text, "latin1").toString("utf8");
}

test("no damage to a config makes the compiler throw, and all that it finds lies within the text", async () => {
  const orbs = orbFolder(join(directory, "orbs"));
  const property = fc.asyncProperty(
    fc.constantFrom(...configs),
    fc.array(mutation, { minLength: 1, maxLength: 6 }),
    async (config, mutations) => {
      const text = mutated(config, mutations);

      const { compiled, diagnostics, texts } = await compileConfig(text, { file: "config.yml", orbs });

      expect(compiled === undefined).toBe(diagnostics.some((one) => one.severity === "error"));
      for (const { file, line, column, endLine } of diagnostics) {
        const lines = (texts.get(file) ?? "").split("\n");
        expect(line).toBeLessThanOrEqual(lines.length);
        expect(endLine).toBeGreaterThanOrEqual(line);
        expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
      }
      renderDiagnostics(diagnostics, texts);
    },
  );

  await fc.assert(property, {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: 3_000,
    markInterruptAsFailure: false,
  });
}, 30_000);
