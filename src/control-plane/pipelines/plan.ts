import type {
  CompiledConfig,
  CompiledInvocation,
  CompiledJob,
  CompiledWorkflow,
  Filters,
  InvocationOptions,
  JobType,
  RequireStatus,
  Requirement as WrittenRequirement,
} from "../../config/compiled.ts";
import { ControlPlaneError } from "../errors.ts";
import { passesFilters, type Reference } from "./filters.ts";
import { cronsOn } from "./schedule.ts";

/** Which workflows and jobs of a config run, with filters and `only` decided. Pure. */
export interface PlannedWorkflow {
  name: string;
  jobs: PlannedJob[];
  /** Why nothing of it runs; then it has no jobs. */
  notRun?: string;
  maxAutoReruns: number;
}

export interface PlannedJob {
  name: string;
  type: JobType;
  requires: { name: string; statuses: RequireStatus[] }[];
  /** Undefined for an approval that only the workflow knows. */
  body?: CompiledJob;
  contexts: string[];
  /** Key of the lock that it takes or, as an unlock job, gives back. */
  lock?: string;
}

export interface PlanOptions {
  reference: Reference;
  only?: { workflow?: string; job?: string };
  /** Scheduled workflows of branches are started by their schedules. */
  schedules?: boolean;
}

const terminal: RequireStatus[] = ["success", "failed", "canceled", "unauthorized", "not_run"];

/** Throws ControlPlaneError `not-found` when `only` names what is not there, `bad-request` for jobs that wait for each other. */
export function planWorkflows(config: CompiledConfig, options: PlanOptions): PlannedWorkflow[] {
  const { workflow: wanted, job } = options.only ?? {};
  const names = Object.keys(config.workflows);
  if (wanted !== undefined && !names.includes(wanted))
    throw new ControlPlaneError("not-found", `there is no workflow "${wanted}"; there is ${names.join(", ")}`);
  const planned: PlannedWorkflow[] = [];
  for (const [name, workflow] of Object.entries(config.workflows)) {
    if (wanted !== undefined && wanted !== name) continue;
    const one = planWorkflow(name, { config, workflow, options });
    if (one.jobs.length > 0 || job === undefined) planned.push(one);
  }
  const running = planned.filter(({ jobs }) => jobs.length > 0);
  if (config.setup && running.length > 1)
    throw new ControlPlaneError(
      "bad-request",
      `a setup config may run one workflow, and this one would run ${running.map(({ name }) => name).join(" and ")}`,
    );
  if (job !== undefined && planned.length === 0)
    throw new ControlPlaneError("not-found", `no workflow that would run has a job "${job}"`);
  return planned;
}

function planWorkflow(
  name: string,
  { config, workflow, options }: { config: CompiledConfig; workflow: CompiledWorkflow; options: PlanOptions },
): PlannedWorkflow {
  const maxAutoReruns = workflow.max_auto_reruns ?? 0;
  const notRun = (reason: string): PlannedWorkflow => ({ name, jobs: [], notRun: reason, maxAutoReruns });
  if (workflow.triggers && workflow.triggers.length > 0 && options.only?.workflow === undefined)
    return notRun(whyNotNow(workflow.triggers, options));
  const invocations = workflow.jobs.map((invocation) => readInvocation(invocation, config));
  const kept = withoutFilteredOut(invocations, options.reference);
  if (kept.length === 0) return notRun(`its filters leave no job in for ${referenceInWords(options.reference)}`);
  return { name, jobs: inOrder(pick(kept, options.only?.job), name), maxAutoReruns };
}

function whyNotNow(
  triggers: NonNullable<CompiledWorkflow["triggers"]>,
  { reference, schedules = false }: PlanOptions,
): string {
  const has = `it has a schedule (${triggers.map(({ schedule }) => schedule.cron).join(", ")})`;
  if (!schedules) return `${has}, and nothing starts schedules here: ask for the workflow by its name`;
  if (cronsOn(triggers, reference).length > 0) return `${has}, and starts at its times (UTC) alone`;
  return `${has}, which never starts it for ${referenceInWords(reference)}: ask for the workflow by its name`;
}

/** What filters are asked about. */
export function referenceOf({ branch, tag }: { branch?: string; tag?: string }): Reference {
  return { ...(branch === undefined ? {} : { branch }), ...(tag === undefined ? {} : { tag }) };
}

function referenceInWords({ branch, tag }: Reference): string {
  if (tag !== undefined) return `tag ${tag}`;
  return branch === undefined ? "a tree that is on no branch" : `branch ${branch}`;
}

interface Invocation extends PlannedJob {
  filters?: Filters | string;
}

function readInvocation(invocation: CompiledInvocation, config: CompiledConfig): Invocation {
  const { name, options } = optionsOf(invocation);
  // A job may be called `constructor`.
  const body = Object.hasOwn(config.jobs, name) ? config.jobs[name] : undefined;
  const lock = options["serial-group"] ?? body?.["key"];
  return {
    name,
    type: options.type ?? body?.type ?? "build",
    requires: (options.requires ?? []).map(readRequirement),
    contexts: [options.context ?? []].flat(),
    ...(body ? { body } : {}),
    ...(typeof lock === "string" ? { lock } : {}),
    ...(options.filters ? { filters: options.filters } : {}),
  };
}

function optionsOf(invocation: CompiledInvocation): { name: string; options: InvocationOptions } {
  if (typeof invocation === "string") return { name: invocation, options: {} };
  const [[name, options] = ["", {}]] = Object.entries<InvocationOptions | null>(invocation);
  return { name, options: options ?? {} };
}

function readRequirement(requirement: WrittenRequirement): { name: string; statuses: RequireStatus[] } {
  if (typeof requirement === "string") return { name: requirement, statuses: ["success"] };
  const [name, statuses] = Object.entries(requirement)[0] ?? ["", "success" as const];
  return { name, statuses: statuses === "terminal" ? terminal : [statuses].flat() };
}

/** Jobs that the branch or tag leaves out, and those that required only such jobs. */
function withoutFilteredOut(jobs: Invocation[], reference: Reference): Invocation[] {
  let kept = jobs.filter((job) => passesFilters(job.filters, reference));
  for (;;) {
    const names = new Set(kept.map((job) => job.name));
    const next = kept.filter(({ requires }) => requires.length === 0 || requires.some(({ name }) => names.has(name)));
    if (next.length === kept.length)
      return next.map((job) => ({ ...job, requires: job.requires.filter(({ name }) => names.has(name)) }));
    kept = next;
  }
}

/** The job and all that it requires, directly or not. */
function pick(jobs: Invocation[], wanted: string | undefined): Invocation[] {
  if (wanted === undefined) return jobs;
  const picked = new Set<string>();
  const byName = new Map(jobs.map((job) => [job.name, job]));
  const visit = (name: string): void => {
    const job = byName.get(name);
    if (!job || picked.has(name)) return;
    picked.add(name);
    for (const requirement of job.requires) visit(requirement.name);
  };
  visit(wanted);
  return jobs.filter((job) => picked.has(job.name));
}

/** As written, but each job after those that it requires. */
function inOrder(jobs: Invocation[], workflow: string): PlannedJob[] {
  const ordered: PlannedJob[] = [];
  const done = new Set<string>();
  let rest = jobs;
  while (rest.length > 0) {
    const ready = rest.filter((job) => job.requires.every(({ name }) => done.has(name)));
    if (ready.length === 0) throw cycle(workflow, rest);
    for (const { filters: _filters, ...job } of ready) {
      ordered.push(job);
      done.add(job.name);
    }
    rest = rest.filter((job) => !done.has(job.name));
  }
  return ordered;
}

function cycle(workflow: string, jobs: Invocation[]): ControlPlaneError {
  const names = jobs.map((job) => job.name).join(", ");
  return new ControlPlaneError("bad-request", `jobs of workflow "${workflow}" wait for each other: ${names}`);
}
