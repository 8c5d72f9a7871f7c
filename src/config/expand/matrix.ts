import { limits } from "../parse/limits.ts";
import { type Entry, isNull, isText, type MapNode, type Node, plain } from "../parse/node.ts";
import { type Here, report } from "./pass.ts";
import { resolve, textOf } from "./template/resolve.ts";

export interface Matrix {
  alias: string | undefined;
  /** One map of arguments an instance, in the order of the values, the first parameter turning slowest. */
  combinations: ReadonlyMap<string, Entry>[];
  /** The names of its parameters, in alphabetical order. */
  sorted: string[];
}

/** Undefined when the matrix is wrong, which is told. */
export function expandMatrix(node: Node, here: Here): Matrix | undefined {
  const resolved = resolve(node, here);
  if (resolved.kind === "broken") return undefined;
  if (resolved.kind !== "map") return wrong(here, node, "A matrix is a map with `parameters`.");
  const dimensions = dimensionsOf(resolved, here);
  if (!dimensions) return undefined;
  const count = dimensions.reduce((product, { values }) => product * values.length, 1);
  if (count > limits.matrix) {
    report(here, {
      code: "too-big",
      at: node,
      message: `This matrix has ${count} jobs; the limit is ${limits.matrix}.`,
    });
    return undefined;
  }
  const excluded = exclusions(resolved, dimensions, here);
  const alias = resolved.entries.get("alias")?.value;
  const combinations = product(dimensions).filter((one) => !excluded?.has(keyOf(one)));
  return {
    alias: isText(alias) ? alias.value : undefined,
    combinations,
    sorted: dimensions.map(({ key }) => String(key.value)).sort(),
  };
}

interface Dimension {
  key: Entry["key"];
  values: Node[];
}

function wrong(here: Here, at: Node, message: string): undefined {
  report(here, {
    code: "bad-matrix",
    at,
    message,
    hint: "`matrix: {parameters: {name: [value, value]}, exclude: [{name: value}], alias: name}`.",
  });
  return undefined;
}

function dimensionsOf(matrix: MapNode, here: Here): Dimension[] | undefined {
  for (const [key, entry] of matrix.entries) {
    if (!["parameters", "exclude", "alias"].includes(key)) wrong(here, entry.key, `A matrix has no key "${key}".`);
  }
  const parameters = matrix.entries.get("parameters")?.value;
  if (parameters?.kind !== "map" || parameters.entries.size === 0)
    return wrong(here, matrix, "A matrix needs `parameters` with at least one list of values.");
  const dimensions: Dimension[] = [];
  for (const [name, { key, value }] of parameters.entries) {
    const list = value.kind === "closure" ? value.node : value;
    if (list.kind === "broken") return undefined;
    if (list.kind !== "list") return wrong(here, value, `Parameter ${name} is not an enum of values`);
    if (list.items.length === 0) return wrong(here, value, `Parameter ${name} of the matrix has no values`);
    dimensions.push({ key, values: list.items });
  }
  return dimensions;
}

function product(dimensions: Dimension[]): Map<string, Entry>[] {
  let combinations: Map<string, Entry>[] = [new Map()];
  for (const { key, values } of dimensions) {
    combinations = combinations.flatMap((one) =>
      values.map((value) => new Map(one).set(String(key.value), { key, value })),
    );
  }
  return combinations;
}

function keyOf(combination: ReadonlyMap<string, Entry>): string {
  return JSON.stringify([...combination.keys()].sort().map((name) => [name, valueKey(combination.get(name)?.value)]));
}

function valueKey(node: Node | undefined): unknown {
  return node ? plain(node) : null;
}

/** Each exclusion names every parameter. */
function exclusions(matrix: MapNode, dimensions: Dimension[], here: Here): Set<string> | undefined {
  const node = matrix.entries.get("exclude")?.value;
  if (!node || isNull(node) || node.kind === "broken") return undefined;
  if (node.kind !== "list") return wrong(here, node, "`exclude` is a list of maps.");
  const excluded = new Set<string>();
  for (const item of node.items) {
    if (item.kind === "broken") continue;
    if (item.kind !== "map") wrong(here, item, "`exclude` is a list of maps.");
    else if (
      item.entries.size !== dimensions.length ||
      !dimensions.every(({ key }) => item.entries.has(String(key.value)))
    ) {
      wrong(here, item, "An exclusion has to give a value for every parameter of the matrix, and for no other.");
    } else excluded.add(keyOf(item.entries));
  }
  return excluded;
}

/** `job-v1-v2`: the values in the alphabetical order of their parameters' names. */
export function instanceName(job: string, { sorted }: Matrix, combination: ReadonlyMap<string, Entry>): string {
  let name = job;
  for (const parameter of sorted) name += `-${valueName(combination.get(parameter)?.value)}`;
  return name;
}

function valueName(node: Node | undefined): string {
  if (!node) return "";
  const name = node.kind === "map" ? node.entries.get("name")?.value : undefined;
  return textOf(name ?? node);
}
