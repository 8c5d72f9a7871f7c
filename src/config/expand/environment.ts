import { type Node, plain } from "../parse/node.ts";

type Variables = Map<string, unknown>;

/** A map, a list of maps, or a list of `NAME=value` → variables in order; later ones win. */
export function variablesOf(node: Node | undefined, into: Variables = new Map()): Variables {
  if (node?.kind === "scalar" && node.value !== null) assignment(String(node.value), into);
  else if (node?.kind === "map") {
    for (const [name, { value }] of node.entries) {
      into.delete(name);
      into.set(name, plain(value));
    }
  } else if (node?.kind === "list") {
    for (const item of node.items) {
      if (item.kind === "scalar") assignment(String(item.value), into);
      else variablesOf(item, into);
    }
  }
  return into;
}

function assignment(text: string, into: Variables): void {
  const equals = text.indexOf("=");
  if (equals > 0) into.set(text.slice(0, equals), text.slice(equals + 1));
}
