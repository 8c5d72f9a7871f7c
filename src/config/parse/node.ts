import type { Place } from "../diagnostics/source.ts";

/** YAML as the compiler sees it: three shapes with positions, aliases and merge keys resolved (aliases share nodes). */
export type Node = ScalarNode | ListNode | MapNode | ClosureNode | BrokenNode;

interface Base extends Place {
  /** There is a `<<` in some string of it: it may mean something else in every scope. */
  templated: boolean;
  /** Nodes in it when written out, aliases included. */
  size: number;
  /** Levels of maps and lists in it. */
  depth: number;
}

export type Scalar = string | number | boolean | null;

export interface ScalarNode extends Base {
  kind: "scalar";
  value: Scalar;
  /** As written, where that differs from the value's own text: `3.10`, `yes`. */
  text?: string;
}

export interface ListNode extends Base {
  kind: "list";
  items: Node[];
  /** Made once, on demand: see plain. */
  plain?: unknown;
}

export interface MapNode extends Base {
  kind: "map";
  entries: Map<string, Entry>;
  /** Made once, on demand: see plain. */
  plain?: unknown;
}

export interface Entry {
  key: ScalarNode;
  value: Node;
}

/** Steps or an executor given as an argument: they keep the scope they were written in. Only expansion makes these. */
export interface ClosureNode extends Base {
  kind: "closure";
  node: Node;
  scope: object;
}

/** Where something wrong was reported already: fits everywhere, so that one mistake is told once. */
export interface BrokenNode extends Base {
  kind: "broken";
}

export function scalarNode(value: Scalar, at: Place): ScalarNode {
  return {
    kind: "scalar",
    value,
    source: at.source,
    start: at.start,
    end: at.end,
    templated: isTemplate(value),
    size: 1,
    depth: 0,
  };
}

export function listNode(items: Node[], at: Place): ListNode {
  const node: ListNode = {
    kind: "list",
    items,
    source: at.source,
    start: at.start,
    end: at.end,
    templated: false,
    size: 1,
    depth: 1,
  };
  for (const item of items) {
    node.templated ||= item.templated;
    node.size += item.size;
    node.depth = Math.max(node.depth, item.depth + 1);
  }
  return node;
}

export function mapNode(entries: Map<string, Entry>, at: Place): MapNode {
  const node: MapNode = {
    kind: "map",
    entries,
    source: at.source,
    start: at.start,
    end: at.end,
    templated: false,
    size: 1,
    depth: 1,
  };
  for (const { key, value } of entries.values()) {
    node.templated ||= value.templated || key.templated;
    node.size += value.size;
    node.depth = Math.max(node.depth, value.depth + 1);
  }
  return node;
}

export function brokenNode(at: Place): BrokenNode {
  return { kind: "broken", source: at.source, start: at.start, end: at.end, templated: false, size: 1, depth: 0 };
}

/** A scalar that is what it is, `<<` or not: what a template made. */
export function finalNode(value: Scalar, at: Place): ScalarNode {
  return {
    kind: "scalar",
    value,
    source: at.source,
    start: at.start,
    end: at.end,
    templated: false,
    size: 1,
    depth: 0,
  };
}

function isTemplate(value: Scalar): boolean {
  return typeof value === "string" && value.includes("<<");
}

export function isText(node: Node | undefined): node is ScalarNode & { value: string } {
  return node?.kind === "scalar" && typeof node.value === "string";
}

export function isNull(node: Node | undefined): boolean {
  return node?.kind === "scalar" && node.value === null;
}

/** The value under a key of a map; undefined when it is no map or has no such key. */
export function get(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === "map" ? node.entries.get(key)?.value : undefined;
}

/** Plain JavaScript data. `__proto__` is an ordinary key. Parts without templates are made once and shared. */
export function plain(node: Node): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "closure":
      return plain(node.node);
    case "broken":
      return null;
    case "list":
    case "map": {
      node.plain ??= node.kind === "list" ? node.items.map(plain) : plainMap(node);
      return node.plain;
    }
    default:
      return node satisfies never;
  }
}

function plainMap(node: MapNode): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [key, { value }] of node.entries) setOwn(record, key, plain(value));
  return record;
}

/** Sets an own property, whatever its name. */
export function setOwn(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__")
    Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  else record[key] = value;
}
