import type { ContainerSpec } from "../../protocol/task.ts";
import type { NewPipeline } from "../control-plane.ts";
import { MalformedJob } from "../tasks/malformed.ts";
import { type ContainerOptions, makeContainer } from "../tasks/template.ts";
import { type PlannedJob, planWorkflows } from "./plan.ts";

/**
 * The containers of the tasks with which a pipeline begins: those of jobs that wait for nothing. For whoever wants to have them
 * ready before the pipeline exists. Pure. Throws ControlPlaneError as `createPipeline` does; a job that cannot run has none.
 */
export function firstContainers(
  pipeline: Pick<NewPipeline, "config" | "vcs" | "only" | "environment">,
  options: { route: ContainerOptions["route"]; most: number },
): ContainerSpec[] {
  const { config, vcs, only } = pipeline;
  const reference = {
    ...(vcs.branch === undefined ? {} : { branch: vcs.branch }),
    ...(vcs.tag === undefined ? {} : { tag: vcs.tag }),
  };
  const workflows = planWorkflows(config, { reference, ...(only === undefined ? {} : { only }) });
  const jobs = workflows.flatMap((workflow) => workflow.jobs).filter((job) => job.requires.length === 0);
  const containers: ContainerSpec[] = [];
  for (const job of jobs) {
    if (containers.length >= options.most) break;
    containers.push(...containersOf(job, pipeline, options).slice(0, options.most - containers.length));
  }
  return containers;
}

function containersOf(
  { type, body }: PlannedJob,
  pipeline: ContainerOptions["pipeline"],
  { route, most }: { route: ContainerOptions["route"]; most: number },
): ContainerSpec[] {
  if (type !== "build" || !body) return [];
  try {
    const { container, total } = makeContainer({ body, pipeline, route });
    return Array.from({ length: Math.min(total, most) }, () => container);
  } catch (error) {
    if (error instanceof MalformedJob) return [];
    throw error;
  }
}
