import type { CompiledConfig } from "../../src/config/compiled.ts";
import { compileConfig, renderDiagnostics } from "../../src/config/index.ts";
import type { NewPipeline } from "../../src/control-plane/index.ts";

/** What is said of a pipeline whose config is all that matters. */
export function newPipeline(config: CompiledConfig): NewPipeline {
  return {
    project: { slug: "gh/organization/project", name: "project" },
    config,
    source: "",
    vcs: { branch: "main", revision: "0123abc" },
    trigger: { type: "test", actor: "tester" },
    environment: {},
    secretNames: [],
  };
}

/** The same of a config as it is written. Throws what is wrong with it. */
export async function pipelineOf(
  source: string,
  { compile, ...changes }: Partial<NewPipeline> & { compile?: Parameters<typeof compileConfig>[1] } = {},
): Promise<NewPipeline> {
  const { compiled, diagnostics, texts } = await compileConfig(source, compile);
  if (!compiled) throw new Error(renderDiagnostics(diagnostics, texts));
  return { ...newPipeline(compiled), source, ...changes };
}
