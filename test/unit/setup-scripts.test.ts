import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const scripts = join(import.meta.dirname, "../../scripts");
const names = readdirSync(scripts).filter((name) => name.endsWith(".sh"));

test.each(names)("%s, which root may run, writes to no name that others can take first", (name) => {
  expect(readFileSync(join(scripts, name), "utf8")).not.toMatch(/[\s"'=]\/(?:var\/)?tmp\/[^\s"']/);
});
