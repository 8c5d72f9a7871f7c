import { type GraphJob, printable, type WorkflowGraph } from "./workflow-graph.ts";

/**
 * ```
 * workflow main
 * └─ build
 *    ├─ lint
 *    └─ test
 *       └─ deploy (also after lint)
 * ```
 * A job stands once, under that one of the jobs it waits for which is deepest in the tree.
 */
export function drawTree(workflows: readonly WorkflowGraph[]): string {
  return workflows.map(drawWorkflow).join("\n");
}

function drawWorkflow({ name, jobs }: WorkflowGraph): string {
  const depths = depthsOf(jobs);
  const children = new Map<string | undefined, GraphJob[]>();
  for (const job of jobs) {
    const parent = parentOf(job, depths);
    children.set(parent, [...(children.get(parent) ?? []), job]);
  }
  const lines: string[] = [`workflow ${printable(name)}`];
  // A stack instead of recursion: a chain of a thousand jobs is a legal workflow.
  const stack = branches(children, undefined, "");
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { job, indent, last } = next;
    lines.push(`${indent}${last ? "└─" : "├─"} ${label(job, parentOf(job, depths))}`);
    stack.push(...branches(children, job.name, `${indent}${last ? "   " : "│  "}`));
  }
  return `${lines.join("\n")}\n`;
}

interface Branch {
  job: GraphJob;
  indent: string;
  last: boolean;
}

/** Last one first, as a stack gives them back. */
function branches(children: Map<string | undefined, GraphJob[]>, parent: string | undefined, indent: string): Branch[] {
  const jobs = children.get(parent) ?? [];
  return jobs.map((job, index) => ({ job, indent, last: index === jobs.length - 1 })).toReversed();
}

function label({ name, type, requires }: GraphJob, parent: string | undefined): string {
  const notes: string[] = type ? [type] : [];
  const own = requires.find((one) => one.name === parent);
  if (own && own.statuses.length > 0) notes.push(`when ${own.statuses.join(" or ")}`);
  const others = requires.filter((one) => one.name !== parent).map((one) => [one.name, ...one.statuses].join(" "));
  if (others.length > 0) notes.push(`also after ${few(others)}`);
  return printable(notes.length > 0 ? `${name} (${notes.join("; ")})` : name);
}

function few(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
}

/** Of several that are as deep the last, so that a job stands below all that it waits for. */
function parentOf(job: GraphJob, depths: Map<string, number>): string | undefined {
  const known = job.requires.map((one) => one.name).filter((name) => depths.has(name));
  return known.reduce<string | undefined>((deepest, name) => {
    return deepest === undefined || (depths.get(name) ?? 0) >= (depths.get(deepest) ?? 0) ? name : deepest;
  }, undefined);
}

/** Longest way from a job that waits for nothing. The compiler has refused cycles, so every job gets its turn. */
function depthsOf(jobs: readonly GraphJob[]): Map<string, number> {
  const names = new Set(jobs.map((job) => job.name));
  const waiting = new Map(jobs.map((job) => [job.name, job.requires.filter((one) => names.has(one.name)).length]));
  const dependents = new Map<string, GraphJob[]>();
  for (const job of jobs) {
    for (const { name } of job.requires) {
      const list = dependents.get(name);
      if (list) list.push(job);
      else dependents.set(name, [job]);
    }
  }
  const depths = new Map<string, number>();
  const ready = jobs.filter((job) => waiting.get(job.name) === 0);
  for (const job of ready) depths.set(job.name, 0);
  for (let next = ready.shift(); next; next = ready.shift()) {
    for (const dependent of dependents.get(next.name) ?? []) {
      depths.set(dependent.name, Math.max(depths.get(dependent.name) ?? 0, (depths.get(next.name) ?? 0) + 1));
      const left = (waiting.get(dependent.name) ?? 0) - 1;
      waiting.set(dependent.name, left);
      if (left === 0) ready.push(dependent);
    }
  }
  return depths;
}
