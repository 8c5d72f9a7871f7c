import type { Context } from "../context.ts";
import type { NewPipeline } from "../control-plane.ts";
import { resourceClassExists } from "../store/access.ts";
import { nextNumbers } from "../store/counters.ts";
import { appendEvents, type ToldEvent } from "../store/events.ts";
import { insertPipeline, type NewPipelineRows } from "../store/pipelines.ts";
import type { NewRow } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { MalformedJob } from "../tasks/malformed.ts";
import { makeTemplate } from "../tasks/template.ts";
import { applyEvent } from "./apply.ts";
import { type PlannedJob, type PlannedWorkflow, planWorkflows } from "./plan.ts";
import type { JobKind, Requirement } from "./state.ts";

/** Writes a pipeline down and lets its first jobs begin. Throws ControlPlaneError when `only` names what is not there. */
export async function createPipeline(context: Context, wanted: NewPipeline): Promise<{ id: string; number: number }> {
  const { branch, tag } = wanted.vcs;
  const reference = { ...(branch === undefined ? {} : { branch }), ...(tag === undefined ? {} : { tag }) };
  const workflows = planWorkflows(wanted.config, {
    reference,
    ...(wanted.only === undefined ? {} : { only: wanted.only }),
  });
  return await context.store.transaction(async (unit) => {
    const number = await nextNumbers(unit.db, "pipeline");
    const draft = await draftRows(context, unit, { wanted, workflows, number });
    await insertPipeline(unit.db, draft.rows);
    const { id } = draft.rows.pipeline;
    await appendEvents(unit, id, [{ told: draft.story }]);
    await applyEvent(context, unit, id, { type: "start" });
    return { id, number };
  });
}

interface Drafting {
  wanted: NewPipeline;
  workflows: PlannedWorkflow[];
  number: number;
}

interface Draft {
  rows: NewPipelineRows;
  story: ToldEvent;
}

async function draftRows(context: Context, unit: Unit, { wanted, workflows, number }: Drafting): Promise<Draft> {
  const id = context.newId();
  const atMs = context.clock.now();
  const rows: NewPipelineRows = {
    pipeline: pipelineRow({ id, number, atMs, wanted }),
    workflows: [],
    jobs: [],
    tasks: [],
  };
  const count = workflows.reduce((sum, workflow) => sum + workflow.jobs.length, 0);
  const counters = {
    job: await nextNumbers(unit.db, "job", count),
    position: 0,
    directories: new Set<string>(),
  };
  const told: (ToldEvent & { type: "pipeline" })["workflows"] = [];
  for (const [position, workflow] of workflows.entries()) {
    const row = { id: context.newId(), pipeline_id: id, position, name: workflow.name, status: "created" };
    rows.workflows.push(row);
    const ids = new Map(workflow.jobs.map((job) => [job.name, context.newId()]));
    const jobs = [];
    for (const job of workflow.jobs) {
      const drafted = await draftJob(context, unit, {
        job,
        ids,
        workflow: row,
        wanted,
        pipeline: { id, number },
        counters,
      });
      rows.jobs.push(drafted.row);
      rows.tasks.push(...drafted.tasks);
      jobs.push(drafted.told);
    }
    told.push({ id: row.id, name: row.name, jobs });
  }
  return { rows, story: { type: "pipeline", id, number, atMs, workflows: told } };
}

interface JobDrafting {
  job: PlannedJob;
  /** Of the workflow's jobs by name. */
  ids: ReadonlyMap<string, string>;
  workflow: { id: string; name: string };
  wanted: NewPipeline;
  pipeline: { id: string; number: number };
  counters: { job: number; position: number; directories: Set<string> };
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
}

async function tasksOf(
  context: Context,
  unit: Unit,
  { job, workflow, wanted, pipeline, id, number }: JobDrafting & { id: string; number: number },
): Promise<Made> {
  if (kindOf(job) !== "build") return { tasks: [], total: 1 };
  try {
    const { template, queue } = makeTemplate({
      body: bodyOf(job),
      job: { id, name: job.name, number },
      workflow,
      pipeline: { ...wanted, ...pipeline },
      route: context.route,
    });
    if (!(await resourceClassExists(unit.db, queue)))
      throw new MalformedJob(`there is no resource class "${queue}" here; create it, or set another resource_class`);
    const firstOrder = await nextNumbers(unit.db, "queue", template.total);
    const common = { jobId: id, pipelineId: pipeline.id, queue, outputLimit: template.work.outputBytes };
    const tasks = Array.from({ length: template.total }, (_unused, index) =>
      taskRow({ ...common, id: context.newId(), index, order: firstOrder + index }),
    );
    return { tasks, total: template.total, template: JSON.stringify(template) };
  } catch (error) {
    if (error instanceof MalformedJob) return { tasks: [], total: 1, refusal: error.message };
    throw error;
  }
}

function bodyOf(job: PlannedJob): NonNullable<PlannedJob["body"]> {
  if (!job.body) throw new MalformedJob(`the config has no job "${job.name}"`);
  if (job.type !== "build")
    throw new MalformedJob(
      `jobs of the type ${job.type} cannot run here; take it out, or run this workflow on CircleCI`,
    );
  return job.body;
}

function kindOf(job: PlannedJob): JobKind {
  return job.type === "approval" || job.type === "no-op" ? job.type : "build";
}

function taskRow(of: {
  id: string;
  jobId: string;
  pipelineId: string;
  index: number;
  queue: string;
  order: number;
  outputLimit: number;
}): NewRow<"task"> {
  return {
    id: of.id,
    pipeline_id: of.pipelineId,
    job_id: of.jobId,
    node_index: of.index,
    queue: of.queue,
    queue_order: of.order,
    status: "waiting",
    attempt: 1,
    message: null,
    agent: null,
    claim_id: null,
    lease_expires_ms: null,
    cancel_reason: null,
    fenced: 0,
    begun: 0,
    output_bytes: 0,
    output_limit: of.outputLimit,
    output_dropped: 0,
  };
}

function pipelineRow(of: { id: string; number: number; atMs: number; wanted: NewPipeline }): NewRow<"pipeline"> {
  const { wanted } = of;
  return {
    id: of.id,
    number: of.number,
    project: wanted.project.slug,
    project_name: wanted.project.name,
    source: wanted.source,
    config_json: JSON.stringify(wanted.config),
    vcs_json: JSON.stringify(wanted.vcs),
    trigger_json: JSON.stringify(wanted.trigger),
    event_seq: 0,
    cancel_reason: null,
    created_ms: of.atMs,
    ended_ms: null,
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
