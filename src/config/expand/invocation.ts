import { suggestion } from "../../lib/nearest.ts";
import type { CompiledJob, JobType, RequireStatus } from "../compiled.ts";
import type { Place } from "../diagnostics/source.ts";
import { type Entry, isNull, isText, type MapNode, type Node, plain } from "../parse/node.ts";
import { jobTypes, typeOf } from "../schema/job.ts";
import { filterOption } from "./filters.ts";
import { expandJob } from "./job.ts";
import { expandMatrix, instanceName } from "./matrix.ts";
import { find, notFound } from "./names.ts";
import { enter, type Here, report, spend } from "./pass.ts";
import { resolve, textOf } from "./template/resolve.ts";

/** One job of a workflow as it will run, before names are made unique. */
export interface Instance {
  name: string;
  at: Place;
  type: JobType | undefined;
  /** Undefined for approval, and where something is wrong. */
  job: CompiledJob | undefined;
  requires: Requirement[];
  /** What else the workflow says about it: context, filters, serial-group. */
  options: Record<string, unknown>;
  /** The name that stands for all instances of a matrix. */
  alias: string | undefined;
}

export interface Requirement {
  name: string;
  at: Place;
  status: RequireStatus | RequireStatus[] | "terminal" | undefined;
  /** The name has gaps where a matrix stands: these are the texts around them. */
  around?: string[] | undefined;
}

export interface Invocation {
  job: string;
  /** Where the job's name stands. */
  at: Node;
  options: ReadonlyMap<string, Entry>;
}

/** Keys of an invocation that are no arguments of its job. */
export const invocationKeys: ReadonlySet<string> = new Set([
  "requires",
  "name",
  "context",
  "type",
  "filters",
  "matrix",
  "pre-steps",
  "post-steps",
  "serial-group",
  "override-with",
]);

export function invocationOf(node: Node, here: Here): Invocation | undefined {
  if (node.kind === "scalar") return { job: textOf(resolve(node, here)), at: node, options: new Map() };
  if (node.kind !== "map") return undefined;
  const [entry] = node.entries.values();
  if (!entry) return undefined;
  const key = resolve(entry.key, here);
  if (!isText(key)) return undefined;
  return { job: key.value, at: entry.key, options: entry.value.kind === "map" ? entry.value.entries : new Map() };
}

/** One invocation → one instance, or one for each combination of its matrix. */
export function expandInvocation(invocation: Invocation, here: Here): Instance[] {
  const args = argumentsOf(invocation, here);
  const node = invocation.options.get("matrix")?.value;
  if (!node || isNull(node))
    return [expandInstance({ invocation, args, name: invocation.job, alias: undefined }, here)];
  const matrix = expandMatrix(node, here);
  if (!matrix) return [];
  const alias = matrix.alias ?? invocation.job;
  const instances: Instance[] = [];
  for (const combination of matrix.combinations) {
    if (!spend(here, 1, node)) break;
    const inside: Here = { ...here, scope: { ...here.scope, matrix: combination } };
    const name = instanceName(invocation.job, matrix, combination);
    const all = args.size === 0 ? combination : new Map([...args, ...combination]);
    instances.push(expandInstance({ invocation, args: all, name, alias }, inside));
  }
  return instances;
}

/** Version 2 has no parameters: other keys mean nothing there. */
function argumentsOf(invocation: Invocation, here: Here): ReadonlyMap<string, Entry> {
  const args = new Map(invocation.options);
  for (const name of invocationKeys) args.delete(name);
  if (here.pass.templating) return args;
  for (const [name, { key }] of args) {
    const hint = suggestion(name, invocationKeys, "Permitted are");
    report(here, { code: "unknown-key-ignored", at: key, message: `extraneous key [${name}] is not permitted`, hint });
  }
  return new Map();
}

interface Making {
  invocation: Invocation;
  args: ReadonlyMap<string, Entry>;
  /** Unless it has one of its own. */
  name: string;
  alias: string | undefined;
}

function expandInstance(making: Making, here: Here): Instance {
  const { invocation, alias } = making;
  const nameNode = option(invocation, "name", here);
  const isNamed = nameNode && !isNull(nameNode) && nameNode.kind !== "broken";
  const instance: Instance = {
    name: isNamed ? textOf(nameNode) : making.name,
    at: invocation.at,
    type: undefined,
    job: undefined,
    requires: requirementsOf(invocation.options.get("requires")?.value, here),
    options: optionsOf(invocation, here),
    alias,
  };
  const type = option(invocation, "type", here);
  if (isText(type) && type.value === "approval") instance.type = "approval";
  else if (!type || checkInlineType(type, here)) addJob(instance, making, here);
  return instance;
}

function option(invocation: Invocation, name: string, here: Here): Node | undefined {
  const entry = invocation.options.get(name);
  return entry && resolve(entry.value, here);
}

function checkInlineType(type: Node, here: Here): boolean {
  if (isText(type) && type.value === "build") return true;
  if (type.kind === "broken" || isNull(type)) return true;
  const isKnown = isText(type) && (jobTypes as readonly string[]).includes(type.value);
  const hint = isKnown
    ? `Define the job under \`jobs:\` with \`type: ${String(plain(type))}\`, and name it here.`
    : "Write `type: approval`, or leave it out.";
  const message = "Only jobs with `type: approval` can be defined inline under the `workflows:`/`job-groups:` section.";
  report(here, { code: "wrong-value", at: type, message, hint });
  return false;
}

function addJob(instance: Instance, { invocation, args }: Making, here: Here): void {
  const override = option(invocation, "override-with", here);
  const replacement = isText(override) ? find("job", override.value, here) : undefined;
  const found = replacement ?? find("job", invocation.job, here);
  if (found === "missing-orb") return;
  if (!found) return notFound("job", invocation.job, here, invocation.at);
  const { definition, namespace } = found;
  const type = typeOf(definition) as JobType;
  if (type === "approval") {
    instance.type = type;
    return;
  }
  const preSteps = invocation.options.get("pre-steps")?.value;
  const postSteps = invocation.options.get("post-steps")?.value;
  const inside = enter(here, { kind: "job", name: invocation.job });
  instance.job = expandJob(
    { definition, home: { namespace }, args, at: invocation.at, preSteps, postSteps },
    here,
    inside,
  );
}

const statuses = ["success", "failed", "canceled", "unauthorized", "not_run"] as const;

/** What an invocation waits for, templates filled in. */
export function requirementsOf(node: Node | undefined, here: Here): Requirement[] {
  if (!node || isNull(node)) return [];
  const items = node.kind === "list" ? node.items : [node];
  return items.flatMap((item) => {
    const loose = looseRequirement(item, here);
    if (loose) return [loose];
    const resolved = resolve(item, here);
    return resolved.kind === "map" ? conditional(resolved, here) : simple(resolved, here);
  });
}

const matrixTag = /<<\s*matrix\.[\w-]+\s*>>/;

/** `build-<< matrix.os >>` where there is no matrix: CircleCI's own editor takes it for all jobs of that shape. */
function looseRequirement(item: Node, here: Here): Requirement | undefined {
  if (here.scope.matrix || !isText(item) || !item.templated || !matrixTag.test(item.value)) return undefined;
  const message = `There is no matrix here: ${item.value} stands for all jobs of that shape.`;
  report(here, {
    code: "loose-requirement",
    at: item,
    message,
    hint: "Require the matrix by its job's name or its alias.",
  });
  return { name: item.value, at: item, status: undefined, around: item.value.split(matrixTag) };
}

function simple(item: Node, here: Here): Requirement[] {
  if (item.kind === "scalar" && item.value !== null)
    return [{ name: item.text ?? String(item.value), at: item, status: undefined }];
  if (item.kind !== "broken")
    report(here, {
      code: "wrong-type",
      at: item,
      message: "`requires` is a list of job names.",
      hint: "Or of `name: status`.",
    });
  return [];
}

function conditional(item: MapNode, here: Here): Requirement[] {
  return [...item.entries].map(([name, { key, value }]) => ({ name, at: key, status: statusOf(value, here) }));
}

function statusOf(node: Node, here: Here): Requirement["status"] {
  if (isText(node) && node.value === "terminal") return "terminal";
  const items = node.kind === "list" ? node.items : [node];
  const known = items.map((item) => statuses.find((one) => item.kind === "scalar" && one === item.value));
  const valid = known.filter((one) => one !== undefined);
  for (const [index, item] of items.entries()) {
    if (known[index] || item.kind === "broken") continue;
    const hint = suggestion(String(plain(item)), [...statuses, "terminal"], "Possible are");
    const message = `${JSON.stringify(plain(item))} is not a status of a job.`;
    // Among others it does no harm: it only never happens.
    report(here, { code: valid.length > 0 ? "unknown-status" : "wrong-value", at: item, message, hint });
  }
  return node.kind === "list" ? valid : valid[0];
}

function optionsOf(invocation: Invocation, here: Here): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  const context = option(invocation, "context", here);
  if (context && isGiven(context) && checkContext(context, here)) options["context"] = plain(context);
  const serial = option(invocation, "serial-group", here);
  if (serial && isGiven(serial) && checkSerialGroup(serial, here)) options["serial-group"] = plain(serial);
  const filters = invocation.options.get("filters")?.value;
  const value = filters && filterOption(filters, here);
  if (value !== undefined) options["filters"] = value;
  return options;
}

function isGiven(node: Node): boolean {
  return !isNull(node) && node.kind !== "broken";
}

const maxContexts = 100;

function checkContext(node: Node, here: Here): boolean {
  const items = node.kind === "list" ? node.items : [node];
  const isRight =
    items.every((item) => item.kind === "scalar" && item.value !== null) &&
    new Set(items.map(textOf)).size <= maxContexts;
  if (!isRight)
    report(here, {
      code: "wrong-type",
      at: node,
      message: `\`context\` is a name, or a list of at most ${maxContexts} names.`,
    });
  return isRight;
}

/** The name of a lock that is taken by all projects of an organisation. */
export function checkSerialGroup(node: Node, here: Here): boolean {
  if (node.kind === "scalar" && /^[\w./-]{1,512}$/.test(String(node.value))) return true;
  const hint = "Letters, digits and . _ - / make the name of a serial group.";
  report(here, {
    code: "wrong-value",
    at: node,
    message: "A serial group's name has 1 to 512 characters of A-Z, a-z, 0-9, ., _, - and /.",
    hint,
  });
  return false;
}
