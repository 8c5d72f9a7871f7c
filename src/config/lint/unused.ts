import type { DiagnosticCode } from "../diagnostics/codes.ts";
import type { Reporter } from "../diagnostics/reporter.ts";
import { type Entry, get, type MapNode, type Node } from "../parse/node.ts";

/** Warns about definitions that nothing in the config mentions, switched-off workflows included. */
export function lintUnused(root: MapNode, reporter: Reporter): void {
  const everywhere = mentions([...root.entries].filter(([key]) => key !== "version").map(([, { value }]) => value));
  const workflows = mentions([get(root, "workflows")]);
  const inGroups = mentions([get(root, "job-groups")]);
  const hasWorkflows = root.entries.has("workflows");
  const unused = (key: string, code: DiagnosticCode, isUsed: (name: string) => boolean, hint: string) => {
    for (const [name, { key: at }] of definitions(root, key)) {
      if (isUsed(name)) continue;
      reporter.report({ code, at, message: `${titles[key]} "${name}" is unused`, hint });
    }
  };
  const runs = (name: string) => workflows.has(name) || inGroups.has(name) || (!hasWorkflows && name === "build");
  unused("jobs", "unused-job", runs, "Name it in a workflow, or take it out.");
  unused("commands", "unused-command", (name) => everywhere.has(name), "Use it as a step, or take it out.");
  unused("executors", "unused-executor", (name) => everywhere.has(name), "Name it in a job, or take it out.");
  unused("job-groups", "unused-job-group", (name) => workflows.has(name), "Name it in a workflow, or take it out.");
  const orbs = new Set([...everywhere].map((name) => name.slice(0, Math.max(0, name.indexOf("/")))));
  unused("orbs", "unused-orb", (name) => orbs.has(name), "Use something of it, or take the import out.");
}

const titles: Readonly<Record<string, string>> = {
  jobs: "Job",
  commands: "Command",
  executors: "Executor",
  "job-groups": "Job group",
  orbs: "Orb",
};

function definitions(root: MapNode, key: string): ReadonlyMap<string, Entry> {
  const node = get(root, key);
  return node?.kind === "map" ? node.entries : new Map();
}

/**
 * All texts and keys inside of these, without the first level of keys of each: those are the definitions themselves. A
 * text that looks like a name by chance hides a warning; that is better than a false one.
 */
function mentions(nodes: readonly (Node | undefined)[]): Set<string> {
  const found = new Set<string>();
  const seen = new Set<Node>();
  const walk = (node: Node): void => {
    if (node.kind === "scalar") {
      if (typeof node.value === "string" && node.value.length < 200) found.add(node.value.trim());
    } else if ((node.kind === "list" || node.kind === "map") && !seen.has(node)) {
      seen.add(node);
      for (const item of node.kind === "list" ? node.items : valuesOf(node, found)) walk(item);
    }
  };
  for (const node of nodes) {
    if (node?.kind === "map") for (const { value } of node.entries.values()) walk(value);
  }
  return found;
}

function valuesOf(node: MapNode, keys: Set<string>): Node[] {
  return [...node.entries].map(([key, { value }]) => {
    keys.add(key);
    return value;
  });
}
