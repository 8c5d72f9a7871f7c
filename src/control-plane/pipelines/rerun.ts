import type { Context } from "../context.ts";
import { nextNumbers } from "../store/counters.ts";
import type { ToldEvent } from "../store/events.ts";
import { insertPipelineParts, loadWorkflow, setRerunsLeft, type WorkflowRows } from "../store/pipelines.ts";
import type { NewRow, Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { TaskTemplate } from "../tasks/template.ts";
import { untouched } from "./draft.ts";
import type { Requirement } from "./state.ts";

type Added = ToldEvent & { type: "workflows-added" };

/**
 * Writes a workflow down once more, with the jobs that did not succeed and all that require them. What they require of the others
 * stays the finished job itself, so that its workspace is theirs.
 */
export async function rerunWorkflow(
  context: Pick<Context, "clock" | "newId">,
  unit: Unit,
  workflowId: string,
): Promise<Added> {
  const old = await loadWorkflow(unit.db, workflowId);
  const again = jobsToRepeat(old.jobs);
  const ids = new Map(again.map((job) => [job.id, context.newId()]));
  const workflow: NewRow<"workflow"> = {
    ...old.workflow,
    id: context.newId(),
    status: "created",
    position: old.nextWorkflowPosition,
    reruns_left: old.workflow.reruns_left - 1,
  };
  const firstNumber = await nextNumbers(unit.db, "job", again.length);
  const jobs = again.map((job, index) =>
    copyJob(job, {
      ids,
      workflowId: workflow.id,
      number: firstNumber + index,
      position: old.nextJobPosition + index,
    }),
  );
  const tasks = await copyTasks(context, unit, { old, ids });
  await setRerunsLeft(unit.db, workflowId, 0);
  await insertPipelineParts(unit.db, { workflows: [workflow], jobs, tasks });
  return {
    type: "workflows-added",
    id: workflow.pipeline_id,
    atMs: context.clock.now(),
    workflows: [
      {
        id: workflow.id,
        name: workflow.name,
        rerunOf: workflowId,
        jobs: jobs.map((job) => tell(job, { jobs: [...old.jobs, ...jobs], tasks })),
      },
    ],
  };
}

/** In the order of the config: each job comes after those that it requires. */
function jobsToRepeat(jobs: readonly Row<"job">[]): Row<"job">[] {
  const repeated = new Set<string>();
  return jobs.filter((job) => {
    const repeats = job.status !== "success" || requirementsOf(job).some((required) => repeated.has(required.job));
    if (repeats) repeated.add(job.id);
    return repeats;
  });
}

interface Copying {
  ids: ReadonlyMap<string, string>;
  workflowId: string;
  number: number;
  position: number;
}

function copyJob(job: Row<"job">, { ids, workflowId, number, position }: Copying): NewRow<"job"> {
  const id = ids.get(job.id) ?? "";
  const requires = requirementsOf(job).map((required) => ({ ...required, job: ids.get(required.job) ?? required.job }));
  return {
    ...job,
    id,
    workflow_id: workflowId,
    number,
    position,
    requires_json: JSON.stringify(requires),
    status: "blocked",
    reason: null,
    approved_by: null,
    lock_state: null,
    lock_order: null,
    lock_asked_ms: null,
    template_json: job.template_json === null ? null : copyTemplate(job.template_json, { id, number, workflowId }),
    artifact_directory: `${job.artifact_directory}-${number}`,
  };
}

/** What names the workflow and the job. The workspace is still the first workflow's. */
function copyTemplate(json: string, of: { id: string; number: number; workflowId: string }): string {
  const template = TaskTemplate.parse(JSON.parse(json));
  const { environment } = template.work;
  const named: Record<string, string> = {
    CIRCLE_WORKFLOW_ID: of.workflowId,
    CIRCLE_WORKFLOW_JOB_ID: of.id,
    CIRCLE_BUILD_NUM: String(of.number),
  };
  return JSON.stringify({
    ...template,
    job: { ...template.job, id: of.id, number: of.number },
    workflow: { ...template.workflow, id: of.workflowId },
    work: { ...template.work, environment: { ...environment, ...named } },
  });
}

async function copyTasks(
  context: Pick<Context, "newId">,
  unit: Unit,
  { old, ids }: { old: WorkflowRows; ids: ReadonlyMap<string, string> },
): Promise<NewRow<"task">[]> {
  const tasks = old.tasks.filter((task) => ids.has(task.job_id));
  if (tasks.length === 0) return [];
  const firstOrder = await nextNumbers(unit.db, "queue", tasks.length);
  return tasks.map((task, index) => ({
    ...task,
    id: context.newId(),
    job_id: ids.get(task.job_id) ?? "",
    queue_order: firstOrder + index,
    ...untouched,
  }));
}

function tell(
  job: NewRow<"job">,
  { jobs, tasks }: { jobs: readonly Pick<NewRow<"job">, "id" | "name">[]; tasks: readonly NewRow<"task">[] },
): Added["workflows"][number]["jobs"][number] {
  const names = requirementsOf(job).map((required) => jobs.find(({ id }) => id === required.job)?.name ?? "");
  const parallelism = Math.max(1, tasks.filter((task) => task.job_id === job.id).length);
  return { id: job.id, name: job.name, type: job.kind, requires: names, parallelism };
}

function requirementsOf(job: Pick<Row<"job">, "requires_json">): Requirement[] {
  return JSON.parse(job.requires_json) as Requirement[];
}
