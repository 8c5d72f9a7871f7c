import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluate, type Lookup, Pattern, plainIdentifier, renderExpressionError, unknownName } from "./index.ts";

const names: Record<string, unknown> = {
  "pipeline.git.branch": "release/7",
  "pipeline.git.branch.is_default": false,
  "pipeline.number": 41,
  "pipeline.git.tag": null,
  "has-docs?": true,
};
const lookup: Lookup = (name) => (Object.hasOwn(names, name) ? names[name] : unknownName);

function valueOf(source: string): unknown {
  const result = evaluate(source, lookup);
  return result.ok ? result.value : result.error;
}

function messageOf(source: string): string {
  const result = evaluate(source, lookup);
  return result.ok ? "no error" : renderExpressionError(result.error, source);
}

describe("values", () => {
  test.each([
    ["007", 7],
    ["9223372036854775807", 9223372036854775807n],
    [String.raw`"say \"hi\" to C:\\dir\n"`, String.raw`say "hi" to C:\dir\n`],
    ["TRUE", true],
    ["True", { errorType: "Interpreter/UNKNOWN_VARIABLE", tokenType: "IDENTIFIER", lexeme: "True", charPos: 0 }],
    ["has-docs?", true],
    ["pipeline.git.tag", undefined],
    [" \t\r\n 3 ", 3],
  ])("%s is %s", (source, value) => {
    expect(valueOf(source)).toEqual(value);
  });

  test("a pattern keeps its source, and a pattern equals one of the same source", () => {
    expect(valueOf(String.raw`/a\/b\d/`)).toEqual(Pattern.compile(String.raw`a/b\d`));
    expect(String(valueOf("/x+/"))).toBe("/x+/");
    expect(valueOf("/x+/ == /x+/")).toBe(true);
    expect(valueOf("/x+/ == /x/")).toBe(false);
  });
});

describe("operators", () => {
  test.each([
    ["true or false and false", true, "and binds before or"],
    ["(true or false) and false", false, "parentheses bind first"],
    ["1 < 2 == 3 > 2", true, "comparison binds before equality"],
    ["not 1 == 2", false, "not binds before equality"],
    ["not (1 == 2)", true, "not takes a group"],
    ["!!1", true, "negation makes a boolean"],
    ["5 == 5 == true", true, "equality leans to the left"],
    ['"" and 0', 0, "empty text and zero are true"],
    ['pipeline.number >= 41 AND pipeline.git.branch starts-with "release/"', true, "capitals do as well"],
    ["pipeline.git.branch.is_default or 10", 10, "or gives the operand that decides"],
    ["pipeline.git.branch.is_default and nobody.knows", false, "and evaluates no more than it needs"],
    ["pipeline.git.branch matches /release\\/\\d/", true, "a pattern matches the whole text"],
    ["pipeline.git.branch matches /release/", false, "a part is not a match"],
    ['pipeline.git.tag == "v1" or 2', 2, "a comparison with no value has no value"],
    ["not pipeline.git.tag", true, "no value is false"],
    ["9223372036854775807 > 9223372036854775806", true, "64-bit integers compare exactly"],
  ])("%s is %s: %s", (source, value, _reason) => {
    expect(valueOf(source)).toBe(value);
  });
});

describe("errors", () => {
  test.each([
    ["a = b", "Scanner/INCOMPLETE_EQUALS", " ", 3, undefined],
    ["a =", "Scanner/INCOMPLETE_EQUALS", "\0", 3, undefined],
    ['a == "b', "Scanner/UNTERMINATED_STRING", '"', 5, undefined],
    ['"b\\"', "Scanner/UNTERMINATED_STRING", '"', 0, undefined],
    ["1 & 2", "Scanner/UNEXPECTED_CHARACTER", "&", 2, undefined],
    ["foo..bar", "Scanner/UNEXPECTED_CHARACTER", ".", 3, undefined],
    ["x matches /(/", "Scanner/INVALID_PATTERN", "/", 10, undefined],
    ["/\\x41/", "Scanner/INVALID_PATTERN_CHARACTER", "\\", 1, undefined],
    [`/${"y".repeat(257)}/`, "Scanner/PATTERN_TOO_LONG", "/", 0, undefined],
    [`1${"0".repeat(100_000)}`, "Scanner/INVALID_NUMERIC_LITERAL", "1", 0, undefined],
    ["(1", "Parser/EXPECTED_RIGHT_PAREN", "", 2, "EOF"],
    ["1 2", "Parser/UNEXPECTED_ADDITIONAL_INPUT", "2", 2, "NUMBER"],
    ["a begins-with not b", "Parser/UNKNOWN_BUILTIN_FUNCTION", "begins-with", 2, "IDENTIFIER"],
    ["1 matches 2", "Interpreter/EXPECTED_PATTERN_OPERAND", "matches", 2, "BUILTIN"],
    ['1 contains "x"', "Interpreter/EXPECTED_STRING_OPERAND", "contains", 2, "BUILTIN"],
    ["true < 2", "Interpreter/EXPECTED_NUMERIC_OPERAND", "<", 5, "LESS"],
  ])("%.40s gives %s", (source, errorType, ...[lexeme, charPos, tokenType]) => {
    expect(valueOf(source)).toEqual({ errorType, lexeme, charPos, ...(tokenType && { tokenType }) });
  });

  test("an error shows the line of the expression with carets under the token", () => {
    expect(messageOf("true and\n pipeline.nubmer > 1\n or 2")).toBe(
      'Referred to a variable "pipeline.nubmer" that does not exist:\n pipeline.nubmer > 1\n ^^^^^^^^^^^^^^^',
    );
    expect(messageOf("2 > 5 && false")).toBe("Unexpected character '&':\n2 > 5 && false\n      ^");
    expect(messageOf("true or")).toBe('Expected expression, found "":\ntrue or\n       ^');
    expect(messageOf("1\u00a0")).toBe("Unexpected character '\\u00a0':\n1\u00a0\n ^");
  });
});

describe("untrusted text", () => {
  test("depth is refused in words and length alone is not", () => {
    expect(valueOf("(".repeat(100_000))).toMatchObject({ errorType: "Parser/TOO_DEEP" });
    expect(valueOf("!".repeat(100_000))).toMatchObject({ errorType: "Parser/TOO_DEEP" });
    expect(valueOf(`${"false or ".repeat(100_000)}1`)).toBe(1);
  });

  test("a pattern that makes backtracking engines explode is decided", () => {
    expect(valueOf(`"${"a".repeat(50_000)}b" matches /(a+)+/`)).toBe(false);
  });

  test("no text makes it throw, and every error points into the text", () => {
    const piece = fc.constantFrom(
      ...Array.from('()!=<>/\\". \nab1?-_'),
      "and ",
      " or ",
      "not ",
      " contains ",
      "/x/",
      '"s"',
      "\u{1f600}",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((pieces) => pieces.join("")),
        ),
        (source) => {
          const result = evaluate(source, () => undefined);
          if (result.ok) return;
          expect(result.error.charPos).toBeLessThanOrEqual(source.length);
          expect(renderExpressionError(result.error, source).split("\n")).toHaveLength(3);
        },
      ),
    );
  });
});

test("a single name is recognised without parsing, and words of the language are no names", () => {
  expect(plainIdentifier("  pipeline.git.branch ")).toBe("pipeline.git.branch");
  expect(plainIdentifier("has-docs?")).toBe("has-docs?");
  for (const text of ["a b", "_a", "a..b", "a.", "true", "AND", "matches", "1", ""]) {
    expect(plainIdentifier(text)).toBeUndefined();
  }
});
