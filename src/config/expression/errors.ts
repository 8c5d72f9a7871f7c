import { maxPatternLength } from "./pattern.ts";
import type { Token, TokenType } from "./token.ts";

export type ScanProblem =
  | "UNEXPECTED_CHARACTER"
  | "INCOMPLETE_EQUALS"
  | "INVALID_NUMERIC_LITERAL"
  | "UNTERMINATED_STRING"
  | "UNTERMINATED_PATTERN"
  | "INVALID_PATTERN_CHARACTER"
  | "INVALID_PATTERN"
  | "PATTERN_TOO_LONG";
export type ParseProblem =
  | "EXPECTED_EXPRESSION"
  | "EXPECTED_RIGHT_PAREN"
  | "UNEXPECTED_ADDITIONAL_INPUT"
  | "UNKNOWN_BUILTIN_FUNCTION"
  | "TOO_DEEP";
export type EvaluationProblem =
  | "EXPECTED_NUMERIC_OPERAND"
  | "EXPECTED_STRING_OPERAND"
  | "EXPECTED_PATTERN_OPERAND"
  | "UNKNOWN_VARIABLE";

/** Keys and values are those of the official evaluator's error objects. */
export interface ExpressionError {
  errorType: `Scanner/${ScanProblem}` | `Parser/${ParseProblem}` | `Interpreter/${EvaluationProblem}`;
  /** Absent when the text could not be cut into tokens. */
  tokenType?: TokenType;
  /** The token, or the one character, where the problem is; empty at the end of the expression. */
  lexeme: string;
  /** Offset of the lexeme in the expression, 0-based. */
  charPos: number;
}

export type Result<T> = { ok: true; value: T } | { ok: false; error: ExpressionError };

export function scanError(problem: ScanProblem, lexeme: string, charPos: number): ExpressionError {
  return { errorType: `Scanner/${problem}`, lexeme, charPos };
}

export function tokenError(
  errorType: `Parser/${ParseProblem}` | `Interpreter/${EvaluationProblem}`,
  token: Token,
): ExpressionError {
  return { errorType, tokenType: token.type, lexeme: token.lexeme, charPos: token.charPos };
}

type Wording = (lexeme: string) => string;

const wordings: Record<ExpressionError["errorType"], Wording> = {
  "Scanner/UNEXPECTED_CHARACTER": (lexeme) => `Unexpected character ${quoted(lexeme)}`,
  "Scanner/INCOMPLETE_EQUALS": (lexeme) => `Incomplete token, expected "==", found ${quoted(lexeme)}`,
  "Scanner/INVALID_NUMERIC_LITERAL": () => "Invalid numeric literal, numbers can range from 0 to 2^63 - 1",
  "Scanner/UNTERMINATED_STRING": () => "Unterminated string starting here",
  "Scanner/UNTERMINATED_PATTERN": () => "Unterminated pattern starting here",
  "Scanner/INVALID_PATTERN_CHARACTER": () =>
    "Invalid pattern character, only ASCII and Latin-1 are allowed in patterns",
  "Scanner/INVALID_PATTERN": () => "Syntax error in pattern",
  "Scanner/PATTERN_TOO_LONG": () => `Pattern length exceeded, limit is ${maxPatternLength} characters`,
  "Parser/EXPECTED_EXPRESSION": (lexeme) => `Expected expression, found "${lexeme}"`,
  "Parser/EXPECTED_RIGHT_PAREN": () => "Expected ')' after expression",
  "Parser/UNEXPECTED_ADDITIONAL_INPUT": (lexeme) => `Unexpected additional input, found "${lexeme}", expected EOF`,
  "Parser/UNKNOWN_BUILTIN_FUNCTION": () => "Unknown infix function",
  "Parser/TOO_DEEP": () => "Expression is nested too deeply",
  "Interpreter/EXPECTED_NUMERIC_OPERAND": (lexeme) => `Expected numeric operands to "${lexeme}" operator`,
  "Interpreter/EXPECTED_STRING_OPERAND": (lexeme) => `Expected string operands to "${lexeme}" operator`,
  "Interpreter/EXPECTED_PATTERN_OPERAND": (lexeme) =>
    `Expected the right operand to "${lexeme}" operator to be a pattern`,
  "Interpreter/UNKNOWN_VARIABLE": (lexeme) => `Referred to a variable "${lexeme}" that does not exist`,
};

/** One line, in CircleCI's words, without an ending. */
export function describeExpressionError(error: ExpressionError): string {
  return wordings[error.errorType](error.lexeme);
}

/** Three lines: the description with a colon, the line of the expression, and carets under the lexeme. */
export function renderExpressionError(error: ExpressionError, source: string): string {
  const lineStart = error.charPos === 0 ? 0 : source.lastIndexOf("\n", error.charPos - 1) + 1;
  const lineEnd = source.indexOf("\n", error.charPos);
  const line = source.slice(lineStart, lineEnd === -1 ? source.length : lineEnd);
  const markerLength = error.tokenType === undefined ? 1 : Math.max(1, error.lexeme.length);
  const marker = " ".repeat(error.charPos - lineStart) + "^".repeat(markerLength);
  return `${describeExpressionError(error)}:\n${line}\n${marker}`;
}

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

function quoted(character: string): string {
  if (character === "'" || character === "\\") return `'\\${character}'`;
  if (printable.test(character)) return `'${character}'`;
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || code === 0x7f
    ? `'\\x${code.toString(16).padStart(2, "0")}'`
    : `'\\u${code.toString(16).padStart(4, "0")}'`;
}
