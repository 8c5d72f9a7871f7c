import { suggestion } from "../../lib/nearest.ts";
import type { DiagnosticCode } from "../diagnostics/codes.ts";
import type { Reporter } from "../diagnostics/reporter.ts";
import type { Place } from "../diagnostics/source.ts";
import { isText, type MapNode, type Node } from "../parse/node.ts";

/** Checks one node against what its place takes, and reports all that is wrong with it. */
export type Shape = (node: Node, visit: Visit) => void;

/** Where a check is, as a JSON pointer grown backwards, and what is the same everywhere. */
export interface Visit {
  reporter: Reporter;
  /** Version 2 passes over keys that it does not know. */
  tolerant: boolean;
  /** Commands here that are called like built-in steps, and stand in for them. */
  shadows: ReadonlySet<string>;
  key: string | number;
  parent?: Visit;
  chain?: string[];
}

export function under(visit: Visit, key: string | number): Visit {
  return { ...visit, key, parent: visit };
}

/** As CircleCI prints it: `#/jobs/build/steps/1`. */
export function pointer(visit: Visit): string {
  const parts: (string | number)[] = [];
  for (let at: Visit | undefined = visit; at; at = at.parent) parts.unshift(at.key);
  return parts.join("/");
}

export interface Violation {
  code: DiagnosticCode;
  at: Place;
  text: string;
  hint?: string | undefined;
}

export function violation(visit: Visit, { code, at, text, hint }: Violation): void {
  visit.reporter.report({
    code,
    at,
    message: `[${pointer(visit)}] ${text}`,
    hint,
    ...(visit.chain ? { chain: visit.chain } : {}),
  });
}

/** CircleCI's word for what a node is. */
export function kindOf(node: Node): string {
  if (node.kind === "list") return "Sequence";
  if (node.kind !== "scalar") return "Mapping";
  if (node.value === null) return "Null";
  if (typeof node.value === "number") return Number.isInteger(node.value) ? "Integer" : "Number";
  return typeof node.value === "boolean" ? "Boolean" : "String";
}

/** A template may become anything; it is checked again when it has. */
export function isOpen(node: Node): boolean {
  return (node.kind === "scalar" && node.templated) || node.kind === "closure" || node.kind === "broken";
}

export function wrongType(node: Node, visit: Visit, expected: string): void {
  const found = kindOf(node);
  const kinds = expected.split("|");
  const each = kinds.map((kind, index) => `${index + 1}. [${pointer(visit)}] expected type: ${kind}, found: ${found}`);
  const text =
    kinds.length === 1
      ? `expected type: ${expected}, found: ${found}`
      : ["0 subschemas matched instead of one", ...each].join("\n");
  violation(visit, { code: "wrong-type", at: node, text });
}

export const anything: Shape = () => {};

/** Any scalar but null: CircleCI takes numbers and booleans where text stands. */
export const text: Shape = (node, visit) => {
  if (!isOpen(node) && (node.kind !== "scalar" || node.value === null)) wrongType(node, visit, "String");
};

export const boolean: Shape = (node, visit) => {
  if (isOpen(node) || (node.kind === "scalar" && typeof node.value === "boolean")) return;
  if (!isText(node) || !/^(true|false)$/i.test(node.value)) wrongType(node, visit, "Boolean");
};

export function integer(range: { min?: number; max?: number } = {}): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind !== "scalar" || typeof node.value !== "number" || !Number.isInteger(node.value)) {
      wrongType(node, visit, "Integer");
    } else if (range.min !== undefined && node.value < range.min) {
      violation(visit, {
        code: "wrong-value",
        at: node,
        text: `${node.value} is not greater or equal to ${range.min}`,
      });
    } else if (range.max !== undefined && node.value > range.max) {
      violation(visit, { code: "wrong-value", at: node, text: `${node.value} is not less or equal to ${range.max}` });
    }
  };
}

export function oneOf(values: readonly string[], code: DiagnosticCode = "wrong-value"): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind === "scalar" && values.includes(String(node.value))) return;
    if (node.kind !== "scalar") return wrongType(node, visit, "String");
    const hint = suggestion(String(node.value), values, "Possible are");
    violation(visit, {
      code,
      at: node,
      text: `${JSON.stringify(node.value)} is not one of: ${values.join(", ")}`,
      hint,
    });
  };
}

export function matching(pattern: RegExp, hint?: string): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind !== "scalar" || node.value === null) return wrongType(node, visit, "String");
    if (pattern.test(String(node.value))) return;
    violation(visit, {
      code: "wrong-value",
      at: node,
      text: `string [${node.value}] does not match pattern ${pattern.source}`,
      hint,
    });
  };
}

export function list(item: Shape): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind !== "list") return wrongType(node, visit, "Sequence");
    for (const [index, one] of node.items.entries()) item(one, under(visit, index));
  };
}

export function mapOf(value: Shape): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind !== "map") return wrongType(node, visit, "Mapping");
    for (const [key, entry] of node.entries) value(entry.value, under(visit, key));
  };
}

/** By what the node is; what is left out is not allowed there. */
export function either(shapes: { scalar?: Shape; null?: Shape; list?: Shape; map?: Shape }, expected: string): Shape {
  return (node, visit) => {
    if (isOpen(node)) return;
    const isNull = node.kind === "scalar" && node.value === null;
    const shape = isNull ? shapes.null : shapes[node.kind as "scalar" | "list" | "map"];
    if (shape) shape(node, visit);
    else wrongType(node, visit, expected);
  };
}

export interface Keys {
  required?: readonly string[];
  keys: Readonly<Record<string, Shape>>;
  /** Other keys: allowed, warned about, or an error (the default; version 2 warns). */
  others?: "allowed" | "ignored" | "refused";
}

export function map({ required = [], keys, others = "refused" }: Keys): Shape {
  const known = new Map(Object.entries(keys));
  return (node, visit) => {
    if (isOpen(node)) return;
    if (node.kind !== "map") return wrongType(node, visit, "Mapping");
    for (const key of required) {
      if (node.entries.has(key)) continue;
      violation(visit, { code: "missing-key", at: headOf(node), text: `required key [${key}] not found` });
    }
    for (const [key, entry] of node.entries) {
      const shape = known.get(key);
      if (shape) shape(entry.value, under(visit, key));
      else if (others !== "allowed" && !entry.key.templated)
        extraneous(node, { key, known: [...known.keys()], others }, visit);
    }
  };
}

function extraneous(
  node: MapNode,
  { key, known, others }: { key: string; known: string[]; others: string },
  visit: Visit,
): void {
  const ignored = others === "ignored" || visit.tolerant;
  const at = node.entries.get(key)?.key ?? node;
  const permitted = known.map((name) => `  - ${name}`);
  const passed = [...node.entries.keys()].map((name) => `  - ${name}`);
  violation(visit, {
    code: ignored ? "unknown-key-ignored" : "unknown-key",
    at,
    text: [`extraneous key [${key}] is not permitted`, "Permitted keys:", ...permitted, "Passed keys:", ...passed].join(
      "\n",
    ),
    hint: suggestion(key, known, "Permitted are"),
  });
}

/** The first line of a map, so that a finding about the whole does not underline all of it. */
export function headOf(node: Node): Place {
  if (node.kind !== "map") return node;
  const [first] = node.entries.values();
  // An entry that was merged in stands somewhere else.
  return first && first.key.start >= node.start && first.key.end <= node.end
    ? first.key
    : { source: node.source, start: node.start, end: node.start + 1 };
}
