import { type Entry, get, isText, type Node } from "../parse/node.ts";
import { find, notFound } from "./names.ts";
import { bind } from "./parameters.ts";
import { enter, type Here, report, type Scope } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

const none: ReadonlyMap<string, Entry> = new Map();

/**
 * The keys of the executor that a job names, templates filled in. `unknown` when it can't be told, because something is
 * wrong that is reported already.
 */
export function expandExecutor(node: Node, here: Here): ReadonlyMap<string, Entry> | "unknown" {
  const resolved = resolve(node, here);
  if (resolved.kind === "broken") return "unknown";
  // Given as an argument: its name is one of the caller's names.
  if (resolved.kind === "closure") return expandExecutor(resolved.node, { ...here, scope: resolved.scope as Scope });
  const use = usage(resolved);
  if (!use) return nameless(resolved, here);
  if (use.name.kind === "closure")
    return forwarded(use.name.node, use.args, { ...here, scope: use.name.scope as Scope });
  return isText(use.name) ? named(use.name, use.args, here) : nameless(use.name, here);
}

function nameless(at: Node, here: Here): "unknown" {
  if (at.kind === "broken") return "unknown";
  const hint = "Write the executor's name, or `{name: …}` with its arguments.";
  report(here, { code: "unknown-executor", at, message: "Missing executor name", hint });
  return "unknown";
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
function forwarded(node: Node, args: ReadonlyMap<string, Entry>, here: Here): ReadonlyMap<string, Entry> | "unknown" {
  const use = usage(node);
  if (!use || !isText(use.name)) return nameless(node, here);
  return named(use.name, new Map([...use.args, ...args]), here);
}

function named(
  name: Node & { value: string },
  args: ReadonlyMap<string, Entry>,
  here: Here,
): ReadonlyMap<string, Entry> | "unknown" {
  const found = find("executor", name.value, here);
  if (found === undefined) notFound("executor", name.value, here, name);
  if (found === undefined || found === "missing-orb") return "unknown";
  const home: Scope = { namespace: found.namespace };
  const inside = enter(here, { kind: "executor", name: name.value }, home);
  const parameters = bind({ definition: found.definition, home, args, at: name }, here, inside);
  if (!parameters || found.definition.kind !== "map") return "unknown";
  const scoped: Here = { ...inside, scope: { ...home, parameters } };
  const keys = new Map<string, Entry>();
  for (const [key, { key: node, value }] of found.definition.entries) {
    if (key !== "parameters" && key !== "description") keys.set(key, { key: node, value: resolve(value, scoped) });
  }
  return keys;
}
