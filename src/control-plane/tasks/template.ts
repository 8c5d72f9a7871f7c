import { z } from "zod";
import type { CompiledJob } from "../../config/compiled.ts";
import { className } from "../../protocol/resource-class.ts";
import { ContainerSpec, type Step, Task, Work } from "../../protocol/task.ts";
import type { NewPipeline, Route, RouteOf } from "../control-plane.ts";
import { differencesStep } from "./differences.ts";
import { jobEnvironment } from "./environment.ts";
import { readImages } from "./images.ts";
import { MalformedJob } from "./malformed.ts";
import { CommandLine, Environment, shapeProblem, Text } from "./shapes.ts";
import { readStep, stepType } from "./steps.ts";

const defaultWorkingDirectory = "~/project";
const killGraceMs = 10_000;
const maxParallelism = 1000;

/** A task's document but for what differs from task to task and from attempt to attempt. */
export const TaskTemplate = Task.omit({ id: true, attempt: true, node: true }).extend({
  total: z.int().positive(),
  container: ContainerSpec,
  work: Work,
  /** Numbers (from 0) of the steps that run on the first node only. */
  firstNodeOnly: z.array(z.int()),
});
export type TaskTemplate = z.infer<typeof TaskTemplate>;

export interface TemplateOptions {
  body: CompiledJob;
  job: { id: string; name: string; number: number };
  workflow: { id: string; name: string };
  pipeline: Pick<NewPipeline, "project" | "vcs" | "trigger" | "environment" | "secretNames"> & {
    id: string;
    number: number;
  };
  route: RouteOf;
}

/** What of a job is read here; its images and steps have readers of their own. */
const JobKeys = z.object({
  resource_class: Text.nullish(),
  working_directory: Text.nullish(),
  shell: CommandLine.nullish(),
  parallelism: z.coerce.number().int().min(1).max(maxParallelism).nullish(),
  environment: Environment.nullish(),
  steps: z.array(z.union([z.string(), z.record(z.string(), z.unknown())])),
});

/** A compiled job as tasks. Pure. Throws MalformedJob for what cannot run here, in words. */
export function makeTemplate(options: TemplateOptions): { template: TaskTemplate; route: Route } {
  const { body, job, pipeline, workflow } = options;
  const keys = readKeys(body);
  const { container, route, total } = makeContainer(options);
  const { workingDirectory } = container;
  const own = keys.environment ?? {};
  const differences = differencesStep(body, keys.resource_class ?? undefined);
  const environment = jobEnvironment({ pipeline, workflow, job, workingDirectory, total, own });
  return {
    route,
    template: {
      job,
      workflow: { id: workflow.id, name: workflow.name },
      pipeline: { id: pipeline.id, number: pipeline.number },
      total,
      firstNodeOnly: keys.steps.flatMap((step, index) =>
        stepType(step) === "deploy" ? [differences.length + index] : [],
      ),
      container,
      work: {
        environment,
        secrets: secretsOf(pipeline),
        workingDirectory,
        ...(keys.shell ? { shell: keys.shell } : {}),
        steps: [...differences, ...keys.steps.map((step, index) => readStep(step, index + 1))],
        maxRunTimeMs: route.maxRunTimeMs,
        killGraceMs,
        workspaceBytes: route.limits.workspaceBytes,
        outputBytes: route.limits.outputBytes,
      },
    },
  };
}

export interface ContainerOptions {
  body: CompiledJob;
  pipeline: Pick<NewPipeline, "environment">;
  route: RouteOf;
}

/** The container of each of a compiled job's tasks, and how many there are. Pure. Throws MalformedJob. */
export function makeContainer(options: ContainerOptions): { container: ContainerSpec; route: Route; total: number } {
  const { body, pipeline } = options;
  const keys = readKeys(body);
  const resourceClass = keys.resource_class ?? undefined;
  const executor = executorOf(body, resourceClass);
  const route = options.route(resourceClass, executor);
  if (!route) throw new MalformedJob(noSuchClass(resourceClass, executor));
  const container: ContainerSpec = {
    resourceClass: resourceClass ?? route.defaultClass ?? route.queue,
    executor,
    images: executor === "docker" ? readImages(body.docker ?? [], pipeline.environment) : [],
    limits: route.limits,
    isolation: route.isolation,
    network: route.network,
    pull: route.pull,
    ...(route.allowedImages ? { allowedImages: route.allowedImages } : {}),
    workingDirectory: keys.working_directory ?? defaultWorkingDirectory,
  };
  return { container, route, total: keys.parallelism ?? 1 };
}

function readKeys(body: CompiledJob): z.infer<typeof JobKeys> {
  const parsed = JobKeys.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new MalformedJob(`the job ${shapeProblem(parsed.error)}`);
}

/** The document of one attempt of one task. */
export function makeTask(template: TaskTemplate, id: string, of: { attempt: number; nodeIndex: number }): Task {
  const { total, firstNodeOnly, ...rest } = template;
  const steps: Step[] = template.work.steps.filter(
    (_step, index) => of.nodeIndex === 0 || !firstNodeOnly.includes(index),
  );
  const environment = { CIRCLE_NODE_INDEX: String(of.nodeIndex), ...template.work.environment };
  return {
    ...rest,
    id,
    attempt: of.attempt,
    node: { index: of.nodeIndex, total },
    work: { ...template.work, environment, steps },
  };
}

function executorOf(body: CompiledJob, resourceClass: string | undefined): "docker" | "machine" {
  if (body.macos) throw new MalformedJob("this job is for macOS, which cannot run here. Run it on CircleCI");
  if (/^(windows|macos|gpu\.windows)\b/.test(resourceClass ?? ""))
    throw new MalformedJob(`resource class ${resourceClass} cannot run here: only Linux containers can`);
  if (body.docker) {
    if (!Array.isArray(body.docker) || body.docker.length === 0) throw new MalformedJob("docker: has no image");
    return "docker";
  }
  if (body.machine) return "machine";
  throw new MalformedJob("the job has no executor: give it docker:, or machine: true");
}

function secretsOf(pipeline: TemplateOptions["pipeline"]): string[] {
  const values = pipeline.secretNames.map((name) => pipeline.environment[name]);
  return [...new Set(values.filter((value): value is string => value !== undefined && value !== ""))];
}

function noSuchClass(resourceClass: string | undefined, executor: string): string {
  if (resourceClass === undefined)
    return `no resource class is set, and there is no default for ${executor} jobs here; set resource_class`;
  const next = className.test(resourceClass)
    ? "create it, or set another resource_class"
    : "set one that is, NAMESPACE/NAME";
  return `there is no resource class "${resourceClass}" for ${executor} jobs here; ${next}`;
}
