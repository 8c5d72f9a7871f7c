import type { CompiledJob } from "../compiled.ts";
import { get, isNull, type Node } from "../parse/node.ts";
import { filterOption } from "./filters.ts";
import {
  checkSerialGroup,
  expandInvocation,
  type Instance,
  type Invocation,
  invocationOf,
  type Requirement,
  requirementsOf,
} from "./invocation.ts";
import { type Here, report } from "./pass.ts";
import { resolve, textOf } from "./template/resolve.ts";

/** The job groups that one workflow has invoked so far, by the name of each invocation. */
export type Invoked = Map<string, Map<string, Invocation>>;

/**
 * A job group in a workflow: its jobs as `group/job` between an entry that waits for what the group waits for, and an end
 * that others wait for. With a serial group the entry takes the lock, and a last job gives it back whatever happened.
 */
export function expandJobGroup(invocation: Invocation, invoked: Invoked, here: Here): Instance[] {
  const group = here.scope.namespace.groups.get(invocation.job);
  if (!group) return [];
  const nameNode = optionOf(invocation, "name", here);
  const name = nameNode && !isNull(nameNode) ? textOf(nameNode) : invocation.job;
  const isNamed = nameNode !== undefined;
  if (!checkKeys(invocation, here) || !checkName({ invocation, name, isNamed }, invoked, here)) return [];
  const key = lockOf(invocation, group, here);
  const entry = bare(`${name}/group-start`, invocation, key === undefined ? noOp : { type: "lock", key, steps: [] });
  entry.requires = requirementsOf(invocation.options.get("requires")?.value, here);
  const members = membersOf(group, name, here);
  const leaves = leavesOf(members);
  for (const member of members) if (member.requires.length === 0) member.requires.push(wait(entry, invocation));
  const end = { ...bare(`${name}/group-end`, invocation, noOp), alias: name };
  end.requires = leaves.map((leaf) => wait(leaf, invocation));
  const all = [entry, ...members, end, ...(key === undefined ? [] : [unlock(name, key, invocation)])];
  const filters = invocation.options.get("filters")?.value;
  const value = filters && filterOption(filters, here);
  // On all of them: a job that waits for a filtered one has to have the filter, too.
  return value === undefined ? all : all.map((one) => ({ ...one, options: { filters: value, ...one.options } }));
}

function lockOf(invocation: Invocation, group: Node, here: Here): string | undefined {
  const serial = optionOf(invocation, "serial-group", here) ?? get(group, "serial-group");
  const lock = serial && !isNull(serial) ? resolve(serial, here) : undefined;
  return lock && checkSerialGroup(lock, here) ? textOf(lock) : undefined;
}

/** Runs whatever became of the group. */
function unlock(name: string, key: string, invocation: Invocation): Instance {
  const instance = bare(`${name}/group-unlock`, invocation, { type: "unlock", key, steps: [] });
  instance.requires = [{ name: `${name}/group-end`, at: invocation.at, status: "terminal" }];
  return instance;
}

const noOp: CompiledJob = { type: "no-op", steps: [] };

function bare(name: string, { at }: Invocation, job: CompiledJob): Instance {
  return { name, at, type: undefined, job, requires: [], options: {}, alias: undefined };
}

function wait(instance: Instance, { at }: Invocation): Requirement {
  return { name: instance.name, at, status: undefined };
}

function optionOf(invocation: Invocation, name: string, here: Here): Node | undefined {
  const entry = invocation.options.get(name);
  return entry && resolve(entry.value, here);
}

const allowed = new Set(["name", "requires", "filters", "serial-group"]);
const refused = ["override-with", "type", "context", "pre-steps", "post-steps"];

function checkKeys({ options }: Invocation, here: Here): boolean {
  const hint = "A job group takes name, requires, filters and serial-group; the rest belongs to the jobs in it.";
  const custom: string[] = [];
  let fine = true;
  for (const [name, { key }] of options) {
    if (allowed.has(name)) continue;
    fine = false;
    if (name === "matrix") tell(key, "Job group invocations do not support `matrix`");
    else if (refused.includes(name)) tell(key, `Job group invocations do not support use of \`${name}\``);
    else custom.push(name);
  }
  const [first] = custom;
  const at = first === undefined ? undefined : options.get(first)?.key;
  if (at)
    tell(
      at,
      `Job group invocations do not support custom parameters, but found: ${custom.map((name) => `\`${name}\``).join(", ")}`,
    );
  return fine;

  function tell(at: Node, message: string): void {
    report(here, { code: "bad-job-group", at, message, hint });
  }
}

/** Each invocation of one group in one workflow has a name of its own. */
function checkName(
  { invocation, name, isNamed }: { invocation: Invocation; name: string; isNamed: boolean },
  invoked: Invoked,
  here: Here,
): boolean {
  const group = invocation.job;
  const others = invoked.get(group) ?? new Map<string, Invocation>();
  invoked.set(group, others);
  const same = others.get(name);
  others.set(name, invocation);
  const hint = "Give each invocation a `name:` of its own.";
  const multiple = `Job group "${group}" is invoked multiple times without a "name" attribute. Each invocation must have a unique name`;
  const unnamed = [...others.values()].filter((one) => !one.options.has("name"));
  if (others.size > 1 || (same && !isNamed)) {
    for (const one of unnamed) report(here, { code: "bad-job-group", at: one.at, message: multiple, hint });
    if (same && !isNamed) report(here, { code: "bad-job-group", at: same.at, message: multiple, hint });
    if (unnamed.length > 0) return false;
  }
  if (!same) return true;
  report(here, {
    code: "bad-job-group",
    at: invocation.at,
    message: `Job group "${group}" is already invoked with the name "${name}"`,
    hint,
  });
  return false;
}

/** The jobs of a group, their names and requirements made the group's own. */
function membersOf(group: Node, name: string, here: Here): Instance[] {
  const jobs = get(group, "jobs");
  const members = (jobs?.kind === "list" ? jobs.items : []).flatMap((item) => memberOf(item, here));
  const names = new Set(members.flatMap((member) => [member.name, member.alias]));
  return members.map((member) => ({
    ...member,
    name: `${name}/${member.name}`,
    alias: member.alias === undefined ? undefined : `${name}/${member.alias}`,
    requires: member.requires.flatMap((requirement) => {
      if (names.has(requirement.name)) return [{ ...requirement, name: `${name}/${requirement.name}` }];
      const hint = "A job in a group waits for jobs of the group; let the whole group wait for what comes before.";
      report(here, {
        code: "unknown-requirement",
        at: requirement.at,
        message: `"${requirement.name}" is not a member of this job group`,
        hint,
      });
      return [];
    }),
  }));
}

function memberOf(item: Node, here: Here): Instance[] {
  const invocation = invocationOf(item, here);
  if (!invocation) return [];
  const serial = invocation.options.get("serial-group");
  if (serial) {
    const message =
      "Use of `serial-group` on job invocations inside a job-group is not supported. Please consider using `serial-group` on the job-group instead.";
    report(here, { code: "bad-job-group", at: serial.key, message });
    return [];
  }
  const isGroup = here.scope.namespace.groups.has(invocation.job) && !here.scope.namespace.jobs.has(invocation.job);
  if (!isGroup) return expandInvocation(invocation, here);
  report(here, {
    code: "bad-job-group",
    at: invocation.at,
    message: `Job group cannot reference job group "${invocation.job}" -- nesting is not supported`,
  });
  return [];
}

function leavesOf(members: readonly Instance[]): Instance[] {
  const required = new Set(members.flatMap((member) => member.requires.map((requirement) => requirement.name)));
  return members.filter(
    (member) => !required.has(member.name) && !(member.alias !== undefined && required.has(member.alias)),
  );
}
