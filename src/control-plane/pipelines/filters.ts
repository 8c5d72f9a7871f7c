import type { Filter, Filters } from "../../config/compiled.ts";
import { compileJavaPattern } from "../../lib/java-pattern.ts";

export interface Reference {
  branch?: string;
  tag?: string;
}

/** Whether a job runs for this branch or tag. Without filters: on every branch, and on no tag. */
export function passesFilters(filters: Filters | undefined, reference: Reference): boolean {
  if (reference.tag !== undefined) return filters?.tags !== undefined && passes(filters.tags, reference.tag);
  if (!filters) return true;
  // Filters for tags alone leave all branches in.
  if (!filters.branches) return true;
  // A working tree that is on no branch has no name that could be refused.
  return reference.branch === undefined
    ? filters.branches.only === undefined
    : passes(filters.branches, reference.branch);
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
