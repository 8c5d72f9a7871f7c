import { withoutCredentials } from "../../lib/credentials.ts";
import type { NewPipeline } from "../control-plane.ts";

export interface EnvironmentOptions {
  pipeline: Pick<NewPipeline, "project" | "vcs" | "trigger" | "environment"> & { id: string; number: number };
  workflow: { id: string };
  job: { id: string; name: string; number: number };
  workingDirectory: string;
  total: number;
  /** The job's own variables. */
  own: Record<string, string>;
}

/** Variables of a job's tasks, but for CIRCLE_NODE_INDEX. What the job says wins over the built-in ones, those over the pipeline's. */
export function jobEnvironment(options: EnvironmentOptions): Record<string, string> {
  return { ...options.pipeline.environment, ...builtIn(options), ...options.own };
}

function builtIn({ pipeline, workflow, job, workingDirectory, total }: EnvironmentOptions): Record<string, string> {
  const { vcs, trigger, project } = pipeline;
  const [, organization = "", repository = project.name] = project.slug.split("/");
  const variables: Record<string, string | undefined> = {
    CI: "true",
    CIRCLECI: "true",
    CIRCLE_BRANCH: vcs.branch,
    CIRCLE_TAG: vcs.tag,
    CIRCLE_SHA1: vcs.revision,
    CIRCLE_REPOSITORY_URL: vcs.url && withoutCredentials(vcs.url),
    CIRCLE_BUILD_NUM: String(job.number),
    CIRCLE_JOB: job.name,
    CIRCLE_NODE_TOTAL: String(total),
    CIRCLE_PIPELINE_ID: pipeline.id,
    CIRCLE_PIPELINE_NUMBER: String(pipeline.number),
    CIRCLE_PROJECT_USERNAME: organization,
    CIRCLE_PROJECT_REPONAME: repository,
    CIRCLE_USERNAME: trigger.actor,
    CIRCLE_WORKFLOW_ID: workflow.id,
    CIRCLE_WORKFLOW_WORKSPACE_ID: workflow.id,
    CIRCLE_WORKFLOW_JOB_ID: job.id,
    CIRCLE_WORKING_DIRECTORY: workingDirectory,
  };
  const known = Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(known);
}
