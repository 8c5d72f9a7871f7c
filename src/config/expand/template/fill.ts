import { type Node, plain, type ScalarNode, setOwn } from "../../parse/node.ts";
import type { Here } from "../pass.ts";
import { splice, templateOf } from "./resolve.ts";

/** Keys of steps that take something else than any text. */
const strict = new Set([
  "when",
  "no_output_timeout",
  "background",
  "max_auto_reruns",
  "auto_rerun_delay",
  "method",
  "depth",
]);
const known = new WeakMap<Node, boolean>();

/** Whether its templates can make nothing but texts where texts stand: what was right before is right after. */
export function isTextual(node: Node, here: Here): boolean {
  if (!node.templated) return true;
  const cached = known.get(node);
  if (cached !== undefined) return cached;
  const textual = check(node, here);
  known.set(node, textual);
  return textual;
}

function check(node: Node, here: Here): boolean {
  if (node.kind === "scalar") return templateOf(node, here)?.whole === undefined;
  if (node.kind === "list") return node.items.every((item) => isTextual(item, here));
  if (node.kind !== "map") return false;
  return [...node.entries].every(
    ([name, { key, value }]) => !key.templated && (strict.has(name) ? !value.templated : isTextual(value, here)),
  );
}

/** A textual node as plain data; undefined when something is wrong with it, which is told. Most of a big matrix is made here. */
export function fill(node: Node, here: Here): unknown {
  if (!node.templated || !here.pass.templating) return plain(node);
  if (node.kind === "scalar") return fillText(node, here);
  if (node.kind === "list") {
    const items = node.items.map((item) => fill(item, here));
    return items.includes(undefined) ? undefined : items;
  }
  if (node.kind !== "map") return undefined;
  const record: Record<string, unknown> = {};
  for (const [key, { value }] of node.entries) {
    const filled = fill(value, here);
    if (filled === undefined) return undefined;
    setOwn(record, key, filled);
  }
  return record;
}

function fillText(node: ScalarNode, here: Here): string | undefined {
  const template = templateOf(node, here);
  return template && splice(template, node, here);
}
