import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { DiagnosticCode } from "../../../config/index.ts";
import { findExample } from "./find.ts";
import { examples } from "./index.ts";
import { diagnosticsPage } from "./page.ts";

test.each(Object.keys(examples) as DiagnosticCode[])(
  "the example of %s gives it, and nothing that it does not say",
  async (code) => {
    const found = await findExample(code);

    expect(found?.codes.toSorted()).toEqual([code, ...(examples[code].also ?? [])].toSorted());
  },
);

test("docs/diagnostics.md is what the generator makes", async () => {
  const written = await readFile(join(import.meta.dirname, "../../../../docs/diagnostics.md"), "utf8");

  expect(written, "stale: run `node scripts/generate-diagnostics-docs.ts`").toBe(await diagnosticsPage());
});
