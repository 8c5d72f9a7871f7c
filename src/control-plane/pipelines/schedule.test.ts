import * as fc from "fast-check";
import { expect, test } from "vitest";
import { nextOccurrence, runsOnBranch } from "./schedule.ts";

test.each([
  ["every minute", "* * * * *", "2026-01-31T23:59:30Z", "2026-02-01T00:00:00.000Z"],
  ["a time of day that is still to come", "30 4 * * *", "2026-01-01T04:29:59Z", "2026-01-01T04:30:00.000Z"],
  ["the very moment is over", "30 4 * * *", "2026-01-01T04:30:00Z", "2026-01-02T04:30:00.000Z"],
  ["lists of minutes and hours", "0,30 8,20 * * *", "2026-01-01T08:30:00Z", "2026-01-01T20:00:00.000Z"],
  ["a range of hours", "0 9-17 * * *", "2026-01-01T17:00:00Z", "2026-01-02T09:00:00.000Z"],
  ["days of the week by name", "0 0 * * mon,fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00.000Z"],
  ["Sunday as 7", "0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00.000Z"],
  ["a month by name", "0 0 1 mar *", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00.000Z"],
  ["either kind of day", "0 0 13 * 5", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00.000Z"],
  ["a leap day", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"],
])("finds the next run of %s", (_title, cron, after, expected) => {
  expect(new Date(nextOccurrence({ cron }, Date.parse(after)) ?? Number.NaN).toISOString()).toBe(expected);
});

test.each(["0 0 30 2 *", "*/5 * * * *", "60 0 * * *", "0 0 * *", ""])("never runs %s", (cron) => {
  expect(nextOccurrence({ cron }, 0)).toBeUndefined();
});

test("the next run is later, and nothing lies between it and the moment before it", () => {
  const anyField = (from: number, to: number) =>
    fc.oneof(
      fc.constant("*"),
      fc.array(fc.integer({ min: from, max: to }), { minLength: 1, maxLength: 3 }).map(String),
    );
  const anyCron = fc
    .tuple(anyField(0, 59), anyField(0, 23), anyField(1, 28), anyField(1, 12), anyField(0, 7))
    .map((fields) => fields.join(" "));
  fc.assert(
    fc.property(anyCron, fc.integer({ min: 0, max: 4e12 }), (cron, afterMs) => {
      const next = nextOccurrence({ cron }, afterMs) ?? 0;

      expect(next).toBeGreaterThan(afterMs);
      expect(nextOccurrence({ cron }, next - 1)).toBe(next);
    }),
    { numRuns: 100 },
  );
});

test("runs for the branches that its filters leave in", () => {
  const filters = { branches: { only: ["main", "/release-.*/"] } };

  expect(["main", "release-1", "other"].map((branch) => runsOnBranch({ filters }, branch))).toEqual([
    true,
    true,
    false,
  ]);
});
