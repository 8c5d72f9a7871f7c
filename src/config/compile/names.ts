import type { Instance } from "../expand/invocation.ts";
import type { Workflow } from "../expand/workflow.ts";

/**
 * The name of every instance in the compiled config. One name with one body is one job, in several workflows too. A name
 * that is used twice in one workflow, or with different bodies, gets numbers: `name-1`, `name-2`, … in order of appearance.
 */
export function uniqueNames(workflows: readonly Workflow[]): Map<Instance, string> {
  const groups = new Map<string, Use[]>();
  for (const [workflow, { instances }] of workflows.entries()) {
    for (const instance of instances) {
      const uses = groups.get(instance.name);
      if (uses) uses.push({ workflow, instance });
      else groups.set(instance.name, [{ workflow, instance }]);
    }
  }
  const taken = new Set(groups.keys());
  const names = new Map<Instance, string>();
  for (const [name, uses] of groups) number(name, uses, taken, names);
  return names;
}

interface Use {
  workflow: number;
  instance: Instance;
}

function number(name: string, uses: Use[], taken: Set<string>, names: Map<Instance, string>): void {
  if (uses.length === 1) {
    for (const { instance } of uses) names.set(instance, name);
    return;
  }
  // The n-th use of one body in each of several workflows is one job.
  const slots = new Map<string, Instance[]>();
  const seen = new Map<string, number>();
  for (const { workflow, instance } of uses) {
    const body = JSON.stringify(instance.job ?? instance.type ?? null);
    const count = (seen.get(`${workflow} ${body}`) ?? 0) + 1;
    seen.set(`${workflow} ${body}`, count);
    const slot = slots.get(`${count} ${body}`);
    if (slot) slot.push(instance);
    else slots.set(`${count} ${body}`, [instance]);
  }
  let next = 1;
  for (const instances of slots.values()) {
    let unique = name;
    if (slots.size > 1) {
      while (taken.has(`${name}-${next}`)) next++;
      unique = `${name}-${next}`;
      taken.add(unique);
    }
    for (const instance of instances) names.set(instance, unique);
  }
}
