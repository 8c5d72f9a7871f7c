import { expect, test } from "vitest";
import { parseDuration } from "./duration.ts";

test.each([
  ["1.25h", 4_500_000],
  ["20m", 1_200_000],
  ["30s", 30_000],
  ["1h30m", 5_400_000],
  ["500ms", 500],
  [90, 90_000],
])("reads %s as %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["", "soon", "10 minutes", "-5m", "5mm", "m"])("does not take %j for a duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
