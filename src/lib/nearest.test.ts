import { expect, test } from "vitest";
import { nearest, suggestion } from "./nearest.ts";

test.each([
  ["biuld", ["test", "build"], "build"],
  ["instal-deps", ["install-deps"], "install-deps"],
  ["CHECKOUT", ["checkout"], "checkout"],
  ["x", ["y"], undefined],
  ["deploy", ["build", "test"], undefined],
  ["tests", ["test", "tasks"], "test"],
])("for %s of %j it suggests %s", (name, known, suggested) => {
  expect(nearest(name, known)).toBe(suggested);
});

test("without a similar name it lists what there is, and no more than ten", () => {
  const known = Array.from({ length: 12 }, (_, index) => `name-${index}`);

  expect(suggestion("zzz", known, "Known are")).toBe(
    "Known are: name-0, name-1, name-2, name-3, name-4, name-5, name-6, name-7, name-8, name-9, ….",
  );
  expect(suggestion("zzz", [], "Known are")).toBeUndefined();
});
