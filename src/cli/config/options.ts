import type { Command } from "commander";
import { collected } from "./input.ts";

/** Where a command looks for orbs. */
export interface OrbOptions {
  orbDir?: string[];
  /** Addresses of registries, or `none`. */
  orbRegistry?: string[];
  orbUrl?: string[];
}

/** What a config is compiled with. */
export interface CompileOptions extends OrbOptions {
  pipelineParameters?: string[];
  pipelineValues?: string[];
}

/** CircleCI's own registry, unless another is named. */
export const publicRegistry = "https://circleci.com";

export function addOrbOptions(command: Command): Command {
  return command
    .option("--orb-dir <DIR>", "orbs as NAMESPACE/NAME/VERSION.yml, looked at first (repeatable)", collected)
    .option(
      "--orb-registry <URL>",
      `where other orbs are asked for, in order (repeatable; ${publicRegistry}); none: nowhere`,
      collected,
    )
    .option("--orb-url <PREFIX>", "allow URL orbs under this https address, ending in / (repeatable)", collected);
}

export function addCompileOptions(command: Command): Command {
  return addOrbOptions(command)
    .option("--pipeline-parameters <P>", "name=value, a file of YAML or JSON, or a map (repeatable)", collected)
    .option("--pipeline-values <V>", "values such as pipeline.git.branch, in the same forms (repeatable)", collected);
}
