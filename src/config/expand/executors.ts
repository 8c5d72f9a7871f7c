import { type Entry, get, isText, type MapNode, type Node } from "../parse/node.ts";
import { find, notFound } from "./names.ts";
import { bind } from "./parameters.ts";
import { enter, type Here, type Scope } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

const none: ReadonlyMap<string, Entry> = new Map();

/**
 * The keys of the executor that a job names, templates filled in. `unknown` when it can't be told, because something is
 * wrong that is reported already.
 */
export function expandExecutor(node: Node, here: Here): MapNode | "unknown" {
  const resolved = resolve(node, here);
  if (resolved.kind === "broken") return "unknown";
  // Given as an argument: its name is one of the caller's names.
  if (resolved.kind === "closure") return expandExecutor(resolved.node, { ...here, scope: resolved.scope as Scope });
  const use = usage(resolved);
  if (!use) return "unknown";
  if (use.name.kind === "closure")
    return forwarded(use.name.node, use.args, { ...here, scope: use.name.scope as Scope });
  if (!isText(use.name)) return "unknown";
  return named(use.name, use.args, here);
}

interface Usage {
  name: Node;
  args: ReadonlyMap<string, Entry>;
}

/** `name`, `{name, …arguments}`, or `{orb/name: {…arguments}}`. */
function usage(node: Node): Usage | undefined {
  if (node.kind === "scalar") return { name: node, args: none };
  if (node.kind !== "map") return undefined;
  const name = get(node, "name");
  if (name) return { name, args: new Map([...node.entries].filter(([key]) => key !== "name")) };
  const [only, second] = node.entries.values();
  if (!only || second) return undefined;
  return { name: only.key, args: only.value.kind === "map" ? only.value.entries : none };
}

/** `{name: << parameters.e >>, …}` where e may have arguments of its own. */
function forwarded(node: Node, args: ReadonlyMap<string, Entry>, here: Here): MapNode | "unknown" {
  const use = usage(node);
  if (!use || !isText(use.name)) return "unknown";
  return named(use.name, new Map([...use.args, ...args]), here);
}

function named(name: Node & { value: string }, args: ReadonlyMap<string, Entry>, here: Here): MapNode | "unknown" {
  const found = find("executor", name.value, here);
  if (found === undefined) notFound("executor", name.value, here, name);
  if (found === undefined || found === "missing-orb") return "unknown";
  const home: Scope = { namespace: found.namespace };
  const inside = enter(here, { kind: "executor", name: name.value }, home);
  const parameters = bind({ definition: found.definition, home, args, at: name }, here, inside);
  if (!parameters || found.definition.kind !== "map") return "unknown";
  const expanded = resolve(found.definition, { ...inside, scope: { ...home, parameters } });
  return expanded.kind === "map" ? expanded : "unknown";
}
