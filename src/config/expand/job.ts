import type { CompiledJob, CompiledStep, JobType } from "../compiled.ts";
import type { Place } from "../diagnostics/source.ts";
import { type Entry, isNull, type MapNode, type Node, plain, setOwn } from "../parse/node.ts";
import { executorKeys, parallelism, places } from "../schema/executor.ts";
import { typeOf } from "../schema/job.ts";
import { headOf, type Shape } from "../schema/shape.ts";
import { variablesOf } from "./environment.ts";
import { expandExecutor } from "./executors.ts";
import { bind } from "./parameters.ts";
import { type Here, report, type Scope, spend } from "./pass.ts";
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
const making = new Set(["parameters", "description", "executor", "steps", "environment", "branches", ...places]);

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
  const job = type === "build" ? buildJob(definition, inside) : otherJob(definition, type, inside);
  if (type === "build") {
    const around: Here = { ...caller, frame: here.frame };
    expandSteps(call.preSteps, around, job.steps);
    expandSteps(definition.entries.get("steps")?.value, inside, job.steps);
    expandSteps(call.postSteps, around, job.steps);
  }
  return reporter.errors > errors ? undefined : job;
}

function otherJob(definition: MapNode, type: string, here: Here): CompiledJob {
  const job: CompiledJob = { type: type as JobType, steps: [] };
  const ignored = new Set([...making, "type"]);
  for (const [key, { value }] of definition.entries) {
    if (!ignored.has(key)) setOwn(job, key, plain(resolve(value, here)));
  }
  return job;
}

function buildJob(definition: MapNode, here: Here): CompiledJob {
  const steps: CompiledStep[] = [];
  const own = ownKeys(definition, here);
  const executorNode = definition.entries.get("executor")?.value;
  const executor = executorNode && !isNull(executorNode) ? expandExecutor(executorNode, here) : undefined;
  const job: Record<string, unknown> = {};
  const used = executor === "unknown" ? undefined : executor?.entries;
  place({ own, executor: used, job, isUnknown: executor === "unknown", at: definition }, here);
  const variables = variablesOf(own.get("environment")?.value, variablesOf(used?.get("environment")?.value));
  if (variables.size > 0) job["environment"] = [...variables].map(([name, value]) => one(name, value));
  for (const keys of [used, own]) {
    for (const [key, { value }] of keys ?? []) if (!making.has(key) && !isNull(value)) setOwn(job, key, plain(value));
  }
  delete job["type"];
  return { ...job, steps };
}

function one(name: string, value: unknown): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  setOwn(record, name, value);
  return record;
}

/** All keys but steps, filled in and checked again where a template was. */
function ownKeys(definition: MapNode, here: Here): Map<string, Entry> {
  const own = new Map<string, Entry>();
  for (const [key, { key: node, value }] of definition.entries) {
    if (key === "steps" || key === "parameters" || key === "executor") continue;
    const resolved = resolve(value, here);
    spend(here, resolved.size, value);
    if (resolved !== value) recheck(key, resolved, here);
    own.set(key, { key: node, value: resolved });
  }
  return own;
}

const checked: Readonly<Record<string, Shape>> = { ...executorKeys, parallelism };

const noShadows: ReadonlySet<string> = new Set();

function recheck(key: string, node: Node, here: Here): void {
  checked[key]?.(node, { reporter: here.pass.reporter, tolerant: false, key, shadows: noShadows });
}

interface Placing {
  own: ReadonlyMap<string, Entry>;
  executor: ReadonlyMap<string, Entry> | undefined;
  job: Record<string, unknown>;
  /** The executor is wrong already. */
  isUnknown: boolean;
  at: MapNode;
}

/** Exactly one of docker, machine and macos; the job's own wins over its executor's. */
function place({ own, executor, job, isUnknown, at }: Placing, here: Here): void {
  const has = (keys: ReadonlyMap<string, Entry> | undefined) =>
    places.filter((name) => !isNull(keys?.get(name)?.value) && keys?.has(name));
  const ownPlaces = has(own);
  const keys = ownPlaces.length > 0 ? own : executor;
  const [first, second] = ownPlaces.length > 0 ? ownPlaces : has(executor);
  if (second !== undefined) {
    const message = `A job runs in one place, and here are two: ${first} and ${second}`;
    report(here, { code: "several-executors", at: keys?.get(second)?.key ?? at, message, hint: "Keep one of them." });
  } else if (first === undefined) {
    if (isUnknown) return;
    const hint = "Add `docker: [{image: …}]`, `machine: true`, `macos:` or `executor:`.";
    report(here, { code: "no-executor", at: headOf(at), message: "The job does not say where it runs", hint });
  } else setPlace(first, keys?.get(first)?.value, job);
}

function setPlace(name: string, value: Node | undefined, job: Record<string, unknown>): void {
  if (!value) return;
  if (name !== "machine") job[name] = plain(value);
  else if (value.kind === "map") machine(value, job);
  else if (value.kind === "scalar") job["machine"] = typeof value.value === "string" ? { image: value.value } : true;
}

/** CircleCI moves these two up to the job. */
function machine(value: MapNode, job: Record<string, unknown>): void {
  const rest: Record<string, unknown> = {};
  for (const [key, entry] of value.entries) {
    const target = key === "resource_class" || key === "shell" ? job : rest;
    setOwn(target, key, plain(entry.value));
  }
  job["machine"] = Object.keys(rest).length > 0 ? rest : true;
}
