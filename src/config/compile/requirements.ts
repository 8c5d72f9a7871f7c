import { suggestion } from "../../lib/nearest.ts";
import type { Requirement as CompiledRequirement } from "../compiled.ts";
import type { Instance, Requirement } from "../expand/invocation.ts";
import { report } from "../expand/pass.ts";
import type { Workflow } from "../expand/workflow.ts";

/** What each instance waits for, by compiled name. Unknown names and circles are told. */
export function requirements(
  workflow: Workflow,
  names: ReadonlyMap<Instance, string>,
): Map<Instance, CompiledRequirement[]> {
  if (workflow.instances.every((instance) => instance.requires.length === 0)) return new Map();
  const index = indexOf(workflow.instances);
  const edges = new Map<Instance, Instance[]>();
  const compiled = new Map<Instance, CompiledRequirement[]>();
  for (const instance of workflow.instances) {
    const waits: Instance[] = [];
    const list: CompiledRequirement[] = [];
    for (const requirement of instance.requires) {
      for (const target of targets(requirement, { instance, index, workflow })) {
        waits.push(target);
        const name = names.get(target) ?? target.name;
        list.push(requirement.status === undefined ? name : { [name]: requirement.status });
      }
    }
    edges.set(instance, waits);
    if (list.length > 0) compiled.set(instance, list);
  }
  reportCycles(workflow, edges);
  return compiled;
}

interface Index {
  names: Map<string, Instance[]>;
  aliases: Map<string, Instance[]>;
}

function indexOf(instances: readonly Instance[]): Index {
  const index: Index = { names: new Map(), aliases: new Map() };
  for (const instance of instances) {
    add(index.names, instance.name, instance);
    if (instance.alias !== undefined) add(index.aliases, instance.alias, instance);
  }
  return index;
}

function add(map: Map<string, Instance[]>, name: string, instance: Instance): void {
  const list = map.get(name);
  if (list) list.push(instance);
  else map.set(name, [instance]);
}

interface Asking {
  instance: Instance;
  index: Index;
  workflow: Workflow;
}

/** Exactly one other job of that name, or all jobs of the matrix with that alias. */
function targets(requirement: Requirement, { instance, index, workflow }: Asking): Instance[] {
  if (requirement.around) return shaped(requirement.around, instance, workflow);
  const same = index.names.get(requirement.name) ?? [];
  const others = same.filter((one) => one !== instance);
  if (others.length === 1) return others;
  const group = others.length === 0 ? (index.aliases.get(requirement.name) ?? []) : [];
  if (group.length > 0) return group;
  const message = `Job '${instance.name}' requires '${requirement.name}', which is the name of ${others.length} other jobs in workflow '${workflow.name}'`;
  const names = new Set([...index.names.keys(), ...index.aliases.keys()]);
  names.delete(instance.name);
  const hint =
    others.length > 1
      ? "Give each of them a `name:` of its own, and require that."
      : suggestion(requirement.name, names, "Jobs of this workflow are");
  report(workflow.here, { code: "unknown-requirement", at: requirement.at, message, hint });
  return [];
}

/** All other jobs whose names have these texts in this order, from start to end. */
function shaped(around: readonly string[], instance: Instance, workflow: Workflow): Instance[] {
  return workflow.instances.filter((one) => one !== instance && one.alias !== undefined && hasShape(one.name, around));
}

function hasShape(name: string, around: readonly string[]): boolean {
  const last = around.at(-1) ?? "";
  let at = 0;
  for (const [index, text] of around.entries()) {
    const found = name.indexOf(text, at);
    if (found === -1 || (index === 0 && found !== 0)) return false;
    at = found + text.length;
  }
  return name.endsWith(last);
}

/** One finding for each job that stands in a circle. Tarjan's algorithm without recursion: graphs may be long. */
function reportCycles(workflow: Workflow, edges: ReadonlyMap<Instance, readonly Instance[]>): void {
  for (const circle of circles(edges)) {
    const path = [...circle, ...circle.slice(0, 1)].map((one) => one.name).join(" → ");
    for (const instance of circle) {
      const message = `The job \`${instance.name}\` is part of a cycle`;
      report(workflow.here, {
        code: "requirement-cycle",
        at: instance.at,
        message,
        hint: `Each waits for the next: ${path.slice(0, 300)}.`,
      });
    }
  }
}

interface Visit {
  instance: Instance;
  index: number;
  low: number;
  next: number;
  onPath: boolean;
}

function circles(edges: ReadonlyMap<Instance, readonly Instance[]>): Instance[][] {
  const visits = new Map<Instance, Visit>();
  const found: Instance[][] = [];
  for (const start of edges.keys()) if (!visits.has(start)) walk(start, { edges, visits, found });
  return found;
}

function walk(
  start: Instance,
  graph: { edges: ReadonlyMap<Instance, readonly Instance[]>; visits: Map<Instance, Visit>; found: Instance[][] },
): void {
  const { edges, visits, found } = graph;
  const component: Visit[] = [];
  const path: Visit[] = [open(start)];
  for (let visit = path.at(-1); visit; visit = path.at(-1)) {
    const target = edges.get(visit.instance)?.[visit.next++];
    const known = target && visits.get(target);
    if (target && !known) path.push(open(target));
    else if (known) {
      if (known.onPath) visit.low = Math.min(visit.low, known.index);
    } else {
      path.pop();
      const parent = path.at(-1);
      if (parent) parent.low = Math.min(parent.low, visit.low);
      if (visit.low === visit.index) close(visit);
    }
  }

  function open(instance: Instance): Visit {
    const visit = { instance, index: visits.size, low: visits.size, next: 0, onPath: true };
    visits.set(instance, visit);
    component.push(visit);
    return visit;
  }

  function close(visit: Visit): void {
    const members = component.splice(component.indexOf(visit));
    for (const member of members) member.onPath = false;
    const isCircle = members.length > 1 || edges.get(visit.instance)?.includes(visit.instance);
    if (isCircle) found.push(members.map((member) => member.instance));
  }
}
