import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StepOutcome } from "../../../protocol/records.ts";
import { duration, outcomeText, sane, size } from "./text.ts";

describe("duration", () => {
  test.each([
    [0, "0.0s"],
    [440, "0.4s"],
    [59_960, "1m00s"],
    [125_000, "2m05s"],
    [3_725_000, "1h02m"],
  ])("%i ms is %s", (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

test("sizes are in binary units", () => {
  expect([500, 2048, 5 * 1024 ** 2, 3 * 1024 ** 3].map(size)).toEqual(["500 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]);
});

describe("sane text", () => {
  test("keeps colours and drops what would steer the terminal", () => {
    const text = "\u001b[31mred\u001b[0m\u001b[2Jcleared\u001b]0;title\u0007\u0000\u202e";

    const shown = sane(text, { colours: true });

    expect(shown).toContain("\u001b[31mred\u001b[0m");
    expect(shown.replaceAll(/\u001b\[[0-9;]*m/g, "")).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
  });

  test("never lets a control character through where colours are off", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(sane(text, { colours: false })).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      }),
    );
  });
});

describe("outcome", () => {
  const cases: [StepOutcome, RegExp][] = [
    [{ kind: "exited", code: 7 }, /^exit code 7$/],
    [{ kind: "exited", code: 137, signal: "SIGKILL" }, /SIGKILL.*137/],
    [{ kind: "failed", message: "no such path" }, /no such path/],
    [{ kind: "timed-out", limit: "no-output", afterMs: 600_000 }, /no output for 10m00s.*no_output_timeout/],
    [{ kind: "timed-out", limit: "run-time", afterMs: 1000 }, /whole task/],
    [{ kind: "infrastructure", message: "engine gone" }, /infrastructure: engine gone/],
  ];

  test.each(cases)("%o is told in words", (outcome, words) => {
    expect(outcomeText(outcome)).toMatch(words);
  });

  test("of success there is nothing to tell", () => {
    expect(outcomeText({ kind: "succeeded" })).toBeUndefined();
  });
});
