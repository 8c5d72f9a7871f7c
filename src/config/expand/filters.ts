import type { Filters } from "../compiled.ts";
import { isNull, isText, type Node, plain } from "../parse/node.ts";
import { compilePattern } from "./logic.ts";
import { type Here, report } from "./pass.ts";
import { expressionValue, resolve } from "./template/resolve.ts";

/** Which branches and tags a job runs on: as the config has it, or `true` or `false` for an expression. */
export function filterOption(node: Node, here: Here): Filters | string | undefined {
  if (isText(node) && !node.templated) return expression(node, here);
  const filters = resolve(node, here);
  if (isNull(filters) || filters.kind === "broken") return undefined;
  if (filters.kind === "scalar") return filters.value === false ? "false" : "true";
  if (filters.kind !== "map") return wrong(here, filters, "`filters` is a map of branches and tags, or an expression.");
  for (const [name, { key, value }] of filters.entries) {
    if (name === "branches" || name === "tags") checkFilter(name, value, here);
    else unknownKey(here, key, `A filter has no key "${name}".`);
  }
  return plain(filters) as Filters;
}

function expression(node: Node & { value: string }, here: Here): string | undefined {
  const value = expressionValue(node.value, here, node);
  if (value.kind === "broken") return undefined;
  // Of expressions only false and undefined are false.
  return value.kind === "scalar" && (value.value === false || value.value === null) ? "false" : "true";
}

function wrong(here: Here, at: Node, message: string): undefined {
  report(here, { code: "bad-filter", at, message, hint: "`filters: {branches: {only: main}, tags: {only: /v.*/}}`." });
  return undefined;
}

/** Version 2 passes over keys that it does not know. */
function unknownKey(here: Here, at: Node, message: string): void {
  if (here.pass.templating) wrong(here, at, message);
  else report(here, { code: "unknown-key-ignored", at, message });
}

function checkFilter(name: string, node: Node, here: Here): void {
  if (isNull(node) || node.kind === "broken") return;
  if (node.kind !== "map") return wrong(here, node, `The filter ${name} is a map with only or ignore.`);
  for (const [key, entry] of node.entries) {
    if (key !== "only" && key !== "ignore") unknownKey(here, entry.key, `The filter ${name} has no key "${key}".`);
    else checkPatterns(entry.value, here);
  }
}

function checkPatterns(node: Node, here: Here): void {
  for (const item of node.kind === "list" ? node.items : [node]) {
    if (item.kind === "broken" || isNull(item)) continue;
    if (item.kind !== "scalar") wrong(here, item, "A filter takes names and /regular expressions/.");
    else checkPattern(item, here);
  }
}

function checkPattern(node: Node, here: Here): void {
  if (!isText(node) || node.value.length < 2 || !node.value.startsWith("/") || !node.value.endsWith("/")) return;
  if (compilePattern(node.value)) return;
  report(here, {
    code: "bad-pattern",
    at: node,
    message: `The pattern ${node.value} can't be read.`,
    hint: "Patterns are RE2: look-aheads stand at the beginning only, and there are no back-references.",
  });
}
