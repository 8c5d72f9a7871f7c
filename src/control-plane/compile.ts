import { compileConfig, type OrbSource, renderDiagnostics } from "../config/index.ts";
import { withoutCredentials } from "../lib/credentials.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";

/** Compiles what a setup workflow goes on with, with orbs from `orbs`, or else those that the control plane knows. */
export function compileWith(own?: OrbSource): NonNullable<ControlPlaneOptions["compile"]> {
  return async ({ text, parameters, vcs, project, pipeline, orbs }) => {
    const { compiled, diagnostics, texts } = await compileConfig(text, {
      pipelineParameters: parameters,
      pipelineValues: {
        "pipeline.id": pipeline.id,
        "pipeline.number": pipeline.number,
        "pipeline.git.branch": vcs.branch ?? null,
        "pipeline.git.tag": vcs.tag ?? null,
        "pipeline.git.revision": vcs.revision ?? null,
        "pipeline.git.repo_url": vcs.url === undefined ? null : withoutCredentials(vcs.url),
        "pipeline.project.slug": project.slug,
        "pipeline.trigger_source": "api",
      },
      orbs: own ?? orbs,
    });
    return compiled ? { compiled } : { errors: renderDiagnostics(diagnostics, texts) };
  };
}
