import { storedRoute } from "../classes/route.ts";
import type { Context } from "../context.ts";
import type { NewPipeline, RouteOf } from "../control-plane.ts";
import { resourceClassExists } from "../store/access.ts";
import { nextNumbers } from "../store/counters.ts";
import type { ToldEvent } from "../store/events.ts";
import type { NewPipelineRows } from "../store/pipelines.ts";
import type { NewRow } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { MalformedJob } from "../tasks/malformed.ts";
import { makeTemplate } from "../tasks/template.ts";
import { contextsOf, UnknownContext } from "./contexts.ts";
import type { PlannedJob, PlannedWorkflow } from "./plan.ts";
import type { JobKind, Requirement } from "./state.ts";

export interface Drafting {
  wanted: NewPipeline;
  workflows: PlannedWorkflow[];
  pipeline: { id: string; number: number };
  /** What the pipeline has already. */
  after?: { workflows: number; jobs: number; artifactDirectories: readonly string[] };
}

export interface Draft {
  rows: Omit<NewPipelineRows, "pipeline">;
  told: (ToldEvent & { type: "pipeline" })["workflows"];
}

const nothing: NonNullable<Drafting["after"]> = { workflows: 0, jobs: 0, artifactDirectories: [] };

/** The rows of workflows and all that is in them, not written yet. Takes numbers: inside of the transaction that writes them. */
export async function draftWorkflows(context: Context, unit: Unit, drafting: Drafting): Promise<Draft> {
  const { wanted, workflows, pipeline, after = nothing } = drafting;
  const draft: Draft = { rows: { workflows: [], jobs: [], tasks: [] }, told: [] };
  const count = workflows.reduce((sum, workflow) => sum + workflow.jobs.length, 0);
  const route = context.route ?? (await storedRoute(unit.db, context.defaultClass));
  const counters = {
    job: await nextNumbers(unit.db, "job", count),
    position: after.jobs,
    directories: new Set(after.artifactDirectories.map((directory) => directory.toLowerCase())),
  };
  for (const [index, workflow] of workflows.entries()) {
    const row = workflowRow(workflow, {
      id: context.newId(),
      pipeline_id: pipeline.id,
      position: after.workflows + index,
    });
    draft.rows.workflows.push(row);
    const ids = new Map(workflow.jobs.map((job) => [job.name, context.newId()]));
    const jobs = [];
    for (const job of workflow.jobs) {
      const drafted = await draftJob(context, unit, { job, ids, workflow: row, wanted, pipeline, counters, route });
      draft.rows.jobs.push(drafted.row);
      draft.rows.tasks.push(...drafted.tasks);
      jobs.push(drafted.told);
    }
    draft.told.push({ id: row.id, name: row.name, jobs });
  }
  return draft;
}

function workflowRow(
  { name, notRun, maxAutoReruns }: PlannedWorkflow,
  keys: { id: string; pipeline_id: string; position: number },
): NewRow<"workflow"> {
  return { ...keys, name, status: "created", reason: notRun ?? null, reruns_left: maxAutoReruns };
}

interface JobDrafting {
  job: PlannedJob;
  /** Of the workflow's jobs by name. */
  ids: ReadonlyMap<string, string>;
  workflow: { id: string; name: string };
  wanted: NewPipeline;
  pipeline: { id: string; number: number };
  counters: { job: number; position: number; directories: Set<string> };
  route: RouteOf;
}

interface DraftedJob {
  row: NewRow<"job">;
  tasks: NewRow<"task">[];
  told: { id: string; name: string; type: string; requires: string[]; parallelism: number };
}

async function draftJob(context: Context, unit: Unit, drafting: JobDrafting): Promise<DraftedJob> {
  const { job, ids, workflow, pipeline, counters } = drafting;
  const id = ids.get(job.name) ?? context.newId();
  const number = counters.job++;
  const made = await tasksOf(context, unit, { ...drafting, id, number });
  const requires: Requirement[] = job.requires.map((requirement) => ({
    job: ids.get(requirement.name) ?? "",
    statuses: requirement.statuses,
  }));
  return {
    row: {
      id,
      pipeline_id: pipeline.id,
      workflow_id: workflow.id,
      position: counters.position++,
      number,
      name: job.name,
      kind: kindOf(job),
      requires_json: JSON.stringify(requires),
      status: "blocked",
      reason: null,
      refusal: made.refusal ?? null,
      refusal_status: made.refusalStatus ?? null,
      lock_key: job.lock ?? null,
      lock_state: null,
      lock_order: null,
      lock_asked_ms: null,
      approved_by: null,
      template_json: made.template ?? null,
      artifact_directory: directoryOf(job.name, number, counters.directories),
    },
    tasks: made.tasks,
    told: {
      id,
      name: job.name,
      type: job.type,
      requires: job.requires.map(({ name }) => name),
      parallelism: made.total,
    },
  };
}

interface Made {
  tasks: NewRow<"task">[];
  total: number;
  template?: string;
  refusal?: string;
  refusalStatus?: "unauthorized";
}

async function tasksOf(
  context: Context,
  unit: Unit,
  { job, workflow, wanted, pipeline, id, number, route: routeOf }: JobDrafting & { id: string; number: number },
): Promise<Made> {
  const nothingToRun = { tasks: [], total: 1 };
  try {
    if (kindOf(job) !== "build") return { ...nothingToRun, ...lockProblem(job) };
    const { environment, secretNames } = contextsOf(job.contexts, wanted);
    const { template, route } = makeTemplate({
      body: bodyOf(job),
      job: { id, name: job.name, number },
      workflow,
      pipeline: { ...wanted, environment, secretNames, ...pipeline },
      route: routeOf,
    });
    const { queue, unsafeRetries } = route;
    if (!(await resourceClassExists(unit.db, queue)))
      throw new MalformedJob(`there is no resource class "${queue}" here; create it, or set another resource_class`);
    const firstOrder = await nextNumbers(unit.db, "queue", template.total);
    const common = { jobId: id, pipelineId: pipeline.id, queue, outputLimit: template.work.outputBytes, unsafeRetries };
    const tasks = Array.from({ length: template.total }, (_unused, index) =>
      taskRow({ ...common, id: context.newId(), index, order: firstOrder + index }),
    );
    return { tasks, total: template.total, template: JSON.stringify(template) };
  } catch (error) {
    if (error instanceof UnknownContext)
      return { ...nothingToRun, refusal: error.message, refusalStatus: "unauthorized" };
    if (error instanceof MalformedJob) return { ...nothingToRun, refusal: error.message };
    throw error;
  }
}

function bodyOf(job: PlannedJob): NonNullable<PlannedJob["body"]> {
  if (!job.body) throw new MalformedJob(`the config has no job "${job.name}"`);
  if (job.type !== "build")
    throw new MalformedJob(
      `jobs of the type ${job.type} cannot run here: nothing would be released. Take it out, or run this workflow on CircleCI`,
    );
  return job.body;
}

/** What nothing here runs has no kind of its own: as a build it is refused. */
function kindOf({ type }: PlannedJob): JobKind {
  return type === "release" ? "build" : type;
}

function lockProblem({ type, lock }: PlannedJob): { refusal?: string } {
  if ((type !== "lock" && type !== "unlock") || lock !== undefined) return {};
  return { refusal: `the ${type} job has no key: name the lock with key:` };
}

function taskRow(of: {
  id: string;
  jobId: string;
  pipelineId: string;
  index: number;
  queue: string;
  order: number;
  outputLimit: number;
  unsafeRetries: boolean;
}): NewRow<"task"> {
  return {
    id: of.id,
    pipeline_id: of.pipelineId,
    job_id: of.jobId,
    node_index: of.index,
    queue: of.queue,
    queue_order: of.order,
    output_limit: of.outputLimit,
    unsafe_retries: of.unsafeRetries ? 1 : 0,
    ...untouched,
  };
}

/** A folder's name for the job's artifacts: its name where that can be one and is not taken, else with its number. */
function directoryOf(name: string, number: number, taken: Set<string>): string {
  const safe = name.replace(/[/\\:\p{Cc}]/gu, "_");
  const short = Buffer.from(safe).subarray(0, 180).toString("utf8").replaceAll("\ufffd", "");
  const plain = short === "" || short.startsWith(".") ? `_${short}` : short;
  // Some file systems do not tell upper from lower case.
  const directory = taken.has(plain.toLowerCase()) ? `${plain}-${number}` : plain;
  taken.add(directory.toLowerCase());
  return directory;
}

/** What every task begins with, of a new workflow and of one that is run again. */
export const untouched = {
  status: "waiting",
  attempt: 1,
  message: null,
  agent: null,
  claim_id: null,
  queued_ms: null,
  claimed_ms: null,
  lease_expires_ms: null,
  cancel_reason: null,
  fenced: 0,
  begun: 0,
  output_bytes: 0,
  output_dropped: 0,
  ended_ms: null,
} as const satisfies Partial<NewRow<"task">>;
