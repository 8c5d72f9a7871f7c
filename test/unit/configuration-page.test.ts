import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configurationPage } from "../../scripts/configuration-page.ts";

test("docs/configuration.md is what the generator makes", async () => {
  const written = await readFile(join(import.meta.dirname, "../../docs/configuration.md"), "utf8");

  expect(written, "stale: run `node scripts/generate-configuration-docs.ts`").toBe(await configurationPage());
});

test("every setting says what it is for", async () => {
  const rows = (await configurationPage()).split("\n").filter((line) => line.startsWith("| `"));

  expect(rows.length).toBeGreaterThan(15);
  expect(rows.filter((row) => /\|\s*\|$/.test(row))).toEqual([]);
});
