import { type CompiledConfig, compileConfig, type OrbSource, renderDiagnostics } from "../../config/index.ts";
import { compileWith } from "../../control-plane/compile.ts";
import type { ControlPlaneOptions } from "../../control-plane/control-plane.ts";
import type { Io } from "../io.ts";
import type { ExecOptions } from "./options.ts";
import type { LocalProject } from "./project.ts";

/** The compiled config; undefined when it has errors. Whatever is wrong is told on stderr, with line and caret. */
export async function compileProject(
  project: LocalProject,
  options: ExecOptions,
  io: Io,
): Promise<CompiledConfig | undefined> {
  const { compiled, diagnostics, texts } = await compileConfig(project.configText, {
    file: project.configFile,
    orbs: orbsWhenNeeded(io, options),
    pipelineParameters: await givenParameters(project, options),
    pipelineValues: values(project),
    signal: io.interrupted,
  });
  if (diagnostics.length > 0) io.stderr.write(renderDiagnostics(diagnostics, texts));
  return compiled;
}

/** What `--param` gave, with the types that the config declares. */
export async function givenParameters(project: LocalProject, options: ExecOptions): Promise<Record<string, unknown>> {
  if (Object.keys(options.param).length === 0) return {};
  const { typedParameters } = await import("../config/values.ts");
  return typedParameters({ typed: {}, text: options.param }, project.configText);
}

function values({ vcs, slug }: LocalProject): Record<string, unknown> {
  return {
    "pipeline.git.branch": vcs.branch ?? null,
    "pipeline.git.tag": vcs.tag ?? null,
    "pipeline.git.revision": vcs.revision ?? null,
    "pipeline.git.repo_url": vcs.url ?? null,
    "pipeline.project.slug": slug,
    "pipeline.trigger_source": "api",
  };
}

/** For what a setup workflow goes on with. */
export function continuationCompiler(options: ExecOptions, io: Io): NonNullable<ControlPlaneOptions["compile"]> {
  return compileWith(orbsWhenNeeded(io, options));
}

/** Most configs use no registry orb: what fetches them is loaded when the first one is asked for. */
function orbsWhenNeeded(io: Io, options: ExecOptions): OrbSource {
  return {
    async find(reference, signal) {
      const { orbSource } = await import("../orbs.ts");
      return await orbSource(io, { orbDir: options.orbDir, orbUrl: [] }).find(reference, signal);
    },
  };
}
