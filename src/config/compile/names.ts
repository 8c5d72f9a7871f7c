import type { Instance } from "../expand/invocation.ts";
import type { Workflow } from "../expand/workflow.ts";

/**
 * The names in the compiled config of those instances that don't keep their own. One name with one body is one job, in several workflows too. A name
 * that is used twice in one workflow, or with different bodies, gets numbers: `name-1`, `name-2`, … in order of appearance.
 */
export function uniqueNames(workflows: readonly Workflow[]): Map<Instance, string> {
  const first = new Map<string, Use>();
  const repeated = new Map<string, Use[]>();
  for (const [workflow, { instances }] of workflows.entries()) {
    for (const instance of instances) {
      const { name } = instance;
      const earlier = first.get(name);
      if (!earlier) first.set(name, { workflow, instance });
      else if (repeated.get(name)?.push({ workflow, instance }) === undefined)
        repeated.set(name, [earlier, { workflow, instance }]);
    }
  }
  const taken = new Set(repeated.size > 0 ? first.keys() : []);
  const names = new Map<Instance, string>();
  for (const [name, uses] of repeated) number(name, uses, taken, names);
  return names;
}

interface Use {
  workflow: number;
  instance: Instance;
}

function number(name: string, uses: Use[], taken: Set<string>, names: Map<Instance, string>): void {
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
