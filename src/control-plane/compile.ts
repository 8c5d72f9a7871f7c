import { compileConfig, type OrbSource, renderDiagnostics } from "../config/index.ts";
import { withoutCredentials } from "../lib/credentials.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";

/** Compiles what pipelines are triggered with, and what setup workflows go on with; with orbs from `orbs`, or else those that the control plane knows. */
export function compileWith(own?: OrbSource): NonNullable<ControlPlaneOptions["compile"]> {
  return async ({ text, file, parameters, vcs, project, pipeline, orbs }) => {
    const { compiled, diagnostics, texts } = await compileConfig(text, {
      ...(file === undefined ? {} : { file }),
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
    const words = renderDiagnostics(diagnostics, texts);
    return compiled ? { compiled, warnings: words } : { errors: words };
  };
}
