import { compileJavaPattern, type WholePattern } from "../../lib/java-pattern.ts";
import type { Entry, MapNode, Node } from "../parse/node.ts";
import { plain } from "../parse/node.ts";
import { type Here, report } from "./pass.ts";
import { isTruthy } from "./truth.ts";

const maxDepth = 100;
const patterns = new Map<string, WholePattern | undefined>();

/** A logic statement whose templates are filled in. What is wrong with it is told, and counts as false. */
export function isTrue(node: Node, here: Here, depth = 0): boolean {
  if (depth > maxDepth) {
    report(here, { code: "bad-condition", at: node, message: `Logic statements nest at most ${maxDepth} deep.` });
    return false;
  }
  if (node.kind === "map") return statement(node, here, depth);
  return isTruthy(node);
}

function statement(node: MapNode, here: Here, depth: number): boolean {
  const entries = [...node.entries.values()];
  const [only] = entries;
  if (!only) return false;
  if (entries.length > 1) return wrong(here, entries[1]?.key ?? node, "A logic statement has exactly one key.");
  const { value } = only;
  switch (only.key.value) {
    case "and":
      return operands(only, here).every((one) => isTrue(one, here, depth + 1));
    case "or":
      return operands(only, here).some((one) => isTrue(one, here, depth + 1));
    case "not":
      return !isTrue(value, here, depth + 1);
    case "equal":
      return allEqual(operands(only, here));
    case "matches":
      return matches(value, here);
    default:
      return wrong(here, only.key, `"${String(only.key.value)}" is no logic statement.`);
  }
}

function wrong(here: Here, at: Node, message: string): false {
  report(here, { code: "bad-condition", at, message, hint: "Logic statements are and, or, not, equal and matches." });
  return false;
}

function operands({ key, value }: Entry, here: Here): Node[] {
  if (value.kind === "broken") return [];
  if (value.kind === "list" && value.items.length > 0) return value.items;
  wrong(here, value, `"${String(key.value)}" takes a list of at least one.`);
  return [];
}

/** Type and value: 1 is not "1". */
function allEqual(nodes: Node[]): boolean {
  const [first, ...others] = nodes.map((node) => JSON.stringify(sorted(plain(node))));
  return first !== undefined && others.every((other) => other === first);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, one]) => [key, sorted(one)]);
}

/** The whole text has to match; in linear time, whatever the pattern. */
function matches(node: Node, here: Here): boolean {
  if (node.kind === "broken") return false;
  const pattern = node.kind === "map" ? node.entries.get("pattern")?.value : undefined;
  const value = node.kind === "map" ? node.entries.get("value")?.value : undefined;
  if (!pattern || !value) return wrong(here, node, "`matches` takes a pattern and a value.");
  if (pattern.kind !== "scalar" || value.kind !== "scalar") return false;
  const compiled = patternOf(String(pattern.value ?? ""));
  if (compiled) return compiled.matches(String(value.value ?? ""));
  report(here, {
    code: "bad-pattern",
    at: pattern,
    message: `The pattern ${String(pattern.value)} can't be read.`,
    hint: "Patterns are RE2: look-aheads stand at the beginning only, and there are no back-references.",
  });
  return false;
}

function patternOf(text: string): WholePattern | undefined {
  if (!patterns.has(text)) {
    if (patterns.size > 1000) patterns.clear();
    patterns.set(text, compilePattern(text));
  }
  return patterns.get(text);
}

/** `/x/` is x: both are written. */
export function compilePattern(text: string): WholePattern | undefined {
  const bare = text.length > 1 && text.startsWith("/") && text.endsWith("/") ? text.slice(1, -1) : text;
  return compileJavaPattern(bare);
}
