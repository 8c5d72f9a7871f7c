import { type Entry, get, isNull, isText, type MapNode, mapNode, type Node, plain, scalarNode } from "../parse/node.ts";
import { expandInvocation, type Instance, invocationOf } from "./invocation.ts";
import { expandJobGroup, type Invoked } from "./job-group.ts";
import { isTrue } from "./logic.ts";
import { enter, type Here, report } from "./pass.ts";
import { checkSchedules } from "./schedule.ts";
import { expressionValue, resolve } from "./template/resolve.ts";
import { isTruthy } from "./truth.ts";

export interface Workflow {
  name: string;
  at: Node;
  instances: Instance[];
  triggers: unknown;
  maxAutoReruns: number | undefined;
  here: Here;
}

/** A workflow's jobs; undefined when its condition switches it off: then nothing of it is looked at. */
export function expandWorkflow(name: string, entry: Entry, config: Here): Workflow | undefined {
  const here = enter(config, { kind: "workflow", name });
  const node = entry.value;
  if (node.kind !== "map" || !isOn(node, here)) return undefined;
  const jobs = node.entries.get("jobs")?.value;
  const list = jobs?.kind === "list" ? jobs.items : [];
  const instances = expandInvocations(list, here);
  const reruns = get(node, "max_auto_reruns");
  const value = reruns && plain(resolve(reruns, here));
  return {
    name,
    at: entry.key,
    instances,
    triggers: triggersOf(node, here),
    maxAutoReruns: typeof value === "number" ? value : undefined,
    here,
  };
}

/** Of a config without workflows: the job `build`, on the branches that the job itself names. */
export function buildWorkflow(definition: Node, config: Here): Workflow {
  const here = enter(config, { kind: "workflow", name: "workflow" });
  const at = scalarNode("build", { source: definition.source, start: definition.start, end: definition.start + 1 });
  const options = new Map<string, Entry>();
  const branches = definition.kind === "map" ? definition.entries.get("branches") : undefined;
  if (branches) {
    const filters = mapNode(new Map([["branches", branches]]), branches.value);
    options.set("filters", { key: branches.key, value: filters });
  }
  const instances = expandInvocation({ job: "build", at, options }, here);
  return { name: "workflow", at, instances, triggers: undefined, maxAutoReruns: undefined, here };
}

/** A job wins over a job group of the same name. */
function expandInvocations(list: readonly Node[], here: Here): Instance[] {
  const { groups, jobs } = here.scope.namespace;
  const invoked: Invoked = new Map();
  return list.flatMap((item) => {
    const invocation = invocationOf(item, here);
    if (!invocation) return [];
    const isGroup = groups.has(invocation.job) && !jobs.has(invocation.job);
    return isGroup ? expandJobGroup(invocation, invoked, here) : expandInvocation(invocation, here);
  });
}

function triggersOf(node: MapNode, here: Here): unknown {
  const triggers = node.entries.get("triggers")?.value;
  if (!triggers || isNull(triggers)) return undefined;
  const resolved = resolve(triggers, here);
  checkSchedules(resolved, here);
  return plain(resolved);
}

function isOn(node: MapNode, here: Here): boolean {
  const when = node.entries.get("when")?.value;
  if (when && !holds(when, here)) return false;
  const unless = node.entries.get("unless")?.value;
  return !unless || !holds(unless, here);
}

/** A text without `<<` is an expression; anything else a logic statement. */
function holds(node: Node, here: Here): boolean {
  if (isText(node) && !node.templated) {
    if (node.value === "") return false;
    const value = expressionValue(node.value, here, node);
    return value.kind === "scalar" && value.value !== false && value.value !== null;
  }
  const resolved = resolve(node, here);
  if (node.kind === "scalar" && node.templated && isMixed(String(node.value)) && isTruthy(resolved)) {
    const hint = "Write the whole condition without `<< >>`, or all of it inside.";
    report(here, {
      code: "always-true",
      at: node,
      message: "This condition is a text after its template is filled in, and a text is always true.",
      hint,
    });
  }
  return isTrue(resolved, here);
}

/** `<< x >> == "main"`: a template with text around it. */
function isMixed(text: string): boolean {
  return !/^\s*<<[^<>]*>>\s*$/.test(text);
}
