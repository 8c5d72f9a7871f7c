import type { Filter, Filters } from "../../config/compiled.ts";
import { describeExpressionError, evaluate, isTruthy, unknownName } from "../../config/expression/index.ts";
import { compileJavaPattern } from "../../lib/java-pattern.ts";
import { ControlPlaneError } from "../errors.ts";

export interface Reference {
  branch?: string;
  tag?: string;
}

/**
 * Whether a job runs for this branch or tag. Without filters: on every branch, and on no tag. A text is an expression over
 * `pipeline.git.branch` and `pipeline.git.tag`; throws ControlPlaneError `bad-request` for one that is none.
 */
export function passesFilters(filters: Filters | string | undefined, reference: Reference): boolean {
  if (typeof filters === "string") return holds(filters, reference);
  if (reference.tag !== undefined) return filters?.tags !== undefined && passes(filters.tags, reference.tag);
  if (!filters) return true;
  // Filters for tags alone leave all branches in.
  if (!filters.branches) return true;
  // A working tree that is on no branch has no name that could be refused.
  return reference.branch === undefined
    ? filters.branches.only === undefined
    : passes(filters.branches, reference.branch);
}

function holds(expression: string, reference: Reference): boolean {
  const names = new Map([
    ["pipeline.git.branch", reference.branch],
    ["pipeline.git.tag", reference.tag],
  ]);
  const result = evaluate(expression, (name) => (names.has(name) ? names.get(name) : unknownName));
  if (result.ok) return isTruthy(result.value);
  throw new ControlPlaneError(
    "bad-request",
    `the filter "${expression}" cannot be decided: ${describeExpressionError(result.error)}`,
  );
}

/** Where both are given, `only` wins. */
function passes(filter: Filter, name: string): boolean {
  if (filter.only !== undefined) return listOf(filter.only).some((pattern) => matches(pattern, name));
  return !listOf(filter.ignore ?? []).some((pattern) => matches(pattern, name));
}

function listOf(value: string | string[]): string[] {
  return Array.isArray(value) ? value : [value];
}

/** `/…/` is a regular expression that has to match the whole name; all else is the name itself. A bad expression matches nothing. */
function matches(pattern: string, name: string): boolean {
  if (pattern.length < 2 || !pattern.startsWith("/") || !pattern.endsWith("/")) return pattern === name;
  return compileJavaPattern(pattern.slice(1, -1))?.matches(name) ?? false;
}
