import type { z } from "zod";
import { withoutCredentials } from "../../lib/credentials.ts";
import type { Trigger, Triggered } from "../../protocol/operator-api.ts";
import type { Context } from "../context.ts";
import type { NewPipeline } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { allOrbs } from "../orbs/source.ts";
import { nextNumbers } from "../store/counters.ts";
import { projectOfRepository } from "../vcs/project.ts";
import { createPipeline } from "./create.ts";

/**
 * Compiles a config and starts a pipeline of it, at the commit that the branch or tag has now. Throws ControlPlaneError: `config-errors` whose message is for a
 * terminal, `not-found` where the repository has no such branch, `bad-request`, `unavailable`.
 */
export async function triggerPipeline(
  context: Context,
  { config, file, repository, branch, tag, parameters }: z.output<typeof Trigger>,
  { actor, signal }: { actor: string; signal: AbortSignal },
): Promise<Triggered> {
  if (!context.compile || !context.sources.locate)
    throw new ControlPlaneError("unavailable", "this control plane takes no pipelines from others");
  if (branch !== undefined && tag !== undefined)
    throw new ControlPlaneError("bad-request", "a pipeline is of a branch or of a tag, not of both");
  const wanted = { url: repository, ...(branch ? { branch } : {}), ...(tag ? { tag } : {}) };
  const vcs = await context.sources.locate(wanted, signal);
  const project = projectOfRepository(repository);
  const pipeline = {
    id: context.newId(),
    number: await context.store.transaction((unit) => nextNumbers(unit.db, "pipeline")),
  };
  const result = await context.compile({
    text: config,
    ...(file === undefined ? {} : { file }),
    parameters,
    vcs,
    project,
    pipeline,
    orbs: allOrbs(context),
  });
  if ("errors" in result) throw new ControlPlaneError("config-errors", result.errors);
  await createPipeline(context, {
    ...pipeline,
    project,
    config: result.compiled,
    source: config,
    vcs: vcs satisfies NewPipeline["vcs"],
    trigger: { type: "api", actor },
    environment: {},
    secretNames: [],
    parameters,
  });
  return { ...pipeline, warnings: withoutCredentials(result.warnings ?? "") };
}
