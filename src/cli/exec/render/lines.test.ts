import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineSplitter } from "./lines.ts";

function split(text: string, cuts: number[]): string[] {
  const splitter = new LineSplitter();
  const bytes = Buffer.from(text);
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return [...edges.slice(1).flatMap((end, i) => splitter.push(bytes.subarray(edges[i], end))), ...splitter.end()];
}

describe("line splitter", () => {
  test("gives the same lines however the bytes arrive, inside of characters too", () => {
    const line = fc.string({ unit: "grapheme" }).filter((text) => !/[\n\r]/.test(text));

    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat()), (lines, cuts) => {
        const text = lines.map((each) => `${each}\n`).join("");

        expect(split(text, cuts)).toEqual(lines);
      }),
    );
  });

  test("shows of a line that rewrites itself the last state only", () => {
    expect(split("10%\r50%\r100%\nwindows\r\n", [])).toEqual(["100%", "windows"]);
  });

  test("lets an endless line go on in pieces, and loses nothing of it", () => {
    const pieces = split("x".repeat(100_000), [10_000, 30_000, 70_000]);

    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join("")).toBe("x".repeat(100_000));
  });
});
