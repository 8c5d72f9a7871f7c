import type { Result } from "./errors.ts";
import { evaluateParsed, type Lookup } from "./evaluator.ts";
import { parse } from "./parser.ts";

export { describeExpressionError, renderExpressionError } from "./errors.ts";
export type { Lookup } from "./evaluator.ts";
export { isTruthy, unknownName } from "./evaluator.ts";
export { Pattern } from "./pattern.ts";
export { plainIdentifier } from "./token.ts";

/**
 * The value of an expression such as `pipeline.git.branch == "main" and 10 or 1`. The value is a string, an integer (a
 * bigint beyond 2^53), a boolean, a Pattern, `undefined`, or whatever the lookup gave. Never throws: an error is a value.
 */
export function evaluate(source: string, lookup: Lookup): Result<unknown> {
  const parsed = parse(source);
  return parsed.ok ? evaluateParsed(parsed.value, lookup) : parsed;
}
