import type { CompiledJob, JobType } from "../compiled.ts";
import type { Place } from "../diagnostics/source.ts";
import { type Entry, isNull, type MapNode, type Node, plain, setOwn } from "../parse/node.ts";
import { executorKeys, parallelism, places } from "../schema/executor.ts";
import { typeOf } from "../schema/job.ts";
import { headOf, type Shape } from "../schema/shape.ts";
import { variablesOf } from "./environment.ts";
import { expandExecutor } from "./executors.ts";
import { bind } from "./parameters.ts";
import { type Here, report, type Scope, spend } from "./pass.ts";
import { placeOf } from "./place.ts";
import { expandSteps } from "./steps.ts";
import { resolve } from "./template/resolve.ts";

export interface JobCall {
  definition: Node;
  home: Scope;
  args: ReadonlyMap<string, Entry>;
  at: Place;
  preSteps?: Node | undefined;
  postSteps?: Node | undefined;
}

/** Keys of a job that say how to make it, and are gone when it is made. */
const making = new Set([
  "type",
  "parameters",
  "description",
  "executor",
  "steps",
  "environment",
  "branches",
  ...places,
]);

/**
 * One job with one set of arguments. `caller` is the workflow, where arguments and pre- and post-steps were written;
 * `here` the call. Undefined when something is wrong, which is told.
 */
export function expandJob(call: JobCall, caller: Here, here: Here): CompiledJob | undefined {
  const { reporter } = here.pass;
  const errors = reporter.errors;
  const parameters = bind(call, caller, here);
  if (!parameters) return undefined;
  const inside: Here = { ...here, scope: { namespace: call.home.namespace, parameters } };
  const { definition } = call;
  if (definition.kind !== "map") {
    if (isNull(definition))
      report(here, {
        code: "no-executor",
        at: call.at,
        message: "The job is empty",
        hint: "Give it docker: or machine:, and steps:.",
      });
    return undefined;
  }
  const type = typeOf(definition);
  const job = type === "build" ? { ...headOfJob(definition, inside), steps: [] } : otherJob(definition, type, inside);
  if (type === "build") {
    const around: Here = { ...caller, frame: here.frame };
    expandSteps(call.preSteps, around, job.steps);
    const steps = definition.entries.get("steps")?.value;
    if (steps) expandSteps(steps, inside, job.steps);
    else
      report(here, {
        code: "no-steps",
        at: headOf(definition),
        message: "required key [steps] not found",
        hint: "A job needs `steps:`.",
      });
    expandSteps(call.postSteps, around, job.steps);
  }
  return reporter.errors > errors ? undefined : job;
}

function otherJob(definition: MapNode, type: string, here: Here): CompiledJob {
  const job: CompiledJob = { type: type as JobType, steps: [] };
  for (const [key, { value }] of definition.entries) {
    if (!making.has(key)) setOwn(job, key, plain(resolve(value, here)));
  }
  return job;
}

/** All of a job but its steps. Where no template is in it, it is the same for every call. */
function headOfJob(definition: MapNode, here: Here): Record<string, unknown> {
  const { heads } = here.pass;
  const { namespace } = here.scope;
  const known = heads.get(definition);
  // An aliased job may stand in two namespaces, where its executor's name means two things.
  if (known?.namespace === namespace) return known.head;
  const head = buildHead(definition, here);
  const isOpen = [...definition.entries].some(
    ([key, { value }]) => key !== "steps" && key !== "parameters" && value.templated,
  );
  if (!isOpen) heads.set(definition, { namespace, head });
  return head;
}

function buildHead(definition: MapNode, here: Here): Record<string, unknown> {
  const own = ownKeys(definition, here);
  const executorNode = definition.entries.get("executor")?.value;
  const executor = executorNode && !isNull(executorNode) ? expandExecutor(executorNode, here) : undefined;
  const used = executor === "unknown" ? undefined : executor;
  const place = placeOf({ own, executor: used, isUnknown: executor === "unknown", at: definition }, here);
  const job: Record<string, unknown> = place.name === undefined ? {} : { [place.name]: place.value };
  const variables = mergedVariables(own, used);
  if (variables && variables.size > 0) job["environment"] = [...variables].map(([name, value]) => one(name, value));
  // Later ones win: what a job says itself, also inside of `machine`, before what its executor says.
  if (!place.isOwn) Object.assign(job, place.hoisted);
  addKeys(job, used);
  if (place.isOwn) Object.assign(job, place.hoisted);
  addKeys(job, own);
  if (job["parallelism"] !== undefined) job["parallelism"] = Math.max(1, Number(job["parallelism"]));
  return job;
}

function mergedVariables(own: ReadonlyMap<string, Entry>, used: ReadonlyMap<string, Entry> | undefined) {
  const ownVariables = own.get("environment")?.value;
  const usedVariables = used?.get("environment")?.value;
  if (!ownVariables && !usedVariables) return undefined;
  return variablesOf(ownVariables, variablesOf(usedVariables));
}

function addKeys(job: Record<string, unknown>, keys: ReadonlyMap<string, Entry> | undefined): void {
  if (!keys) return;
  for (const [key, { value }] of keys) if (!making.has(key) && !isNull(value)) setOwn(job, key, plain(value));
}

function one(name: string, value: unknown): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  setOwn(record, name, value);
  return record;
}

/** Keys that are looked at in their own way, or are for readers only. */
const apart = new Set(["steps", "parameters", "executor", "description", "branches"]);

/** All other keys, filled in and checked again where a template was. */
function ownKeys(definition: MapNode, here: Here): Map<string, Entry> {
  const own = new Map<string, Entry>();
  for (const [key, entry] of definition.entries) {
    const { value } = entry;
    if (apart.has(key)) continue;
    spend(here, value.size, value);
    if (!value.templated) own.set(key, entry);
    else {
      const resolved = resolve(value, here);
      recheck(key, resolved, here);
      own.set(key, { key: entry.key, value: resolved });
    }
  }
  return own;
}

const checked: Readonly<Record<string, Shape>> = { ...executorKeys, parallelism };

const noShadows: ReadonlySet<string> = new Set();

function recheck(key: string, node: Node, here: Here): void {
  checked[key]?.(node, { reporter: here.pass.reporter, tolerant: false, key, shadows: noShadows });
}
