import { type EvaluationProblem, type Result, tokenError } from "./errors.ts";
import type { Expression } from "./parser.ts";
import { Pattern } from "./pattern.ts";
import type { Token } from "./token.ts";

/** What a lookup returns for a name that nobody declared. A name that is declared and has no value is `undefined`. */
export const unknownName = Symbol("unknown name");

/** The value of a name; `null` counts as `undefined`. */
export type Lookup = (name: string) => unknown;

/** The value of a parsed expression. `and` and `or` evaluate no more than they need. */
export function evaluateParsed(expression: Expression, lookup: Lookup): Result<unknown> {
  switch (expression.kind) {
    case "literal":
      return valueOf(expression.token.literal);
    case "identifier":
      return evaluateName(expression.token, lookup);
    case "not": {
      const operand = evaluateParsed(expression.operand, lookup);
      return operand.ok ? valueOf(!isTruthy(operand.value)) : operand;
    }
    default:
      return evaluateChain(expression, lookup);
  }
}

/** Only `false` and `undefined` are false: 0 and "" are true here, other than in logic statements. */
export function isTruthy(value: unknown): boolean {
  return value !== false && value !== undefined;
}

type Infix = Extract<Expression, { kind: "infix" }>;

/** `a or b or c` leans to the left without bound, so the left side is walked by a loop and not by recursion. */
function evaluateChain(expression: Infix, lookup: Lookup): Result<unknown> {
  const chain: Infix[] = [];
  let leftmost: Expression = expression;
  for (; leftmost.kind === "infix"; leftmost = leftmost.left) chain.push(leftmost);

  let left = evaluateParsed(leftmost, lookup);
  for (const { operator, right } of chain.toReversed()) {
    if (!left.ok) return left;
    if (isDecided(operator, left.value)) continue;
    const operand = evaluateParsed(right, lookup);
    left = operand.ok ? combine(operator, left.value, operand.value) : operand;
  }
  return left;
}

function isDecided(operator: Token, left: unknown): boolean {
  return (operator.type === "OR" && isTruthy(left)) || (operator.type === "AND" && !isTruthy(left));
}

function combine(operator: Token, left: unknown, right: unknown): Result<unknown> {
  if (operator.type === "OR" || operator.type === "AND") return valueOf(right);
  if (left === undefined || right === undefined) return valueOf(undefined);
  switch (operator.type) {
    case "EQUAL":
      return valueOf(areEqual(left, right));
    case "NOT_EQUAL":
      return valueOf(!areEqual(left, right));
    case "BUILTIN":
      return operator.lexeme === "matches" ? match(operator, left, right) : search(operator, left, right);
    default:
      return compare(operator, left, right);
  }
}

function areEqual(left: unknown, right: unknown): boolean {
  if (left instanceof Pattern && right instanceof Pattern) return left.source === right.source;
  return left === right;
}

function compare(operator: Token, left: unknown, right: unknown): Result<unknown> {
  if (!isNumeric(left) || !isNumeric(right)) return problem("EXPECTED_NUMERIC_OPERAND", operator);
  switch (operator.type) {
    case "GREATER":
      return valueOf(left > right);
    case "GREATER_EQUAL":
      return valueOf(left >= right);
    case "LESS":
      return valueOf(left < right);
    default:
      return valueOf(left <= right);
  }
}

function search(operator: Token, left: unknown, right: unknown): Result<unknown> {
  if (typeof left !== "string" || typeof right !== "string") return problem("EXPECTED_STRING_OPERAND", operator);
  return valueOf(operator.lexeme === "contains" ? left.includes(right) : left.startsWith(right));
}

function match(operator: Token, left: unknown, right: unknown): Result<unknown> {
  if (!(right instanceof Pattern)) return problem("EXPECTED_PATTERN_OPERAND", operator);
  if (typeof left !== "string") return problem("EXPECTED_STRING_OPERAND", operator);
  return valueOf(right.matches(left));
}

function evaluateName(token: Token, lookup: Lookup): Result<unknown> {
  const value = lookup(token.lexeme);
  return value === unknownName ? problem("UNKNOWN_VARIABLE", token) : valueOf(value ?? undefined);
}

function isNumeric(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function valueOf(value: unknown): Result<unknown> {
  return { ok: true, value };
}

function problem(kind: EvaluationProblem, token: Token): Result<unknown> {
  return { ok: false, error: tokenError(`Interpreter/${kind}`, token) };
}
