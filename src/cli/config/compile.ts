import { type CompileResult, compileConfig, renderDiagnostics } from "../../config/index.ts";
import type { Io } from "../io.ts";
import { orbSource } from "../orbs.ts";
import { readInput } from "./input.ts";
import type { CompileOptions } from "./options.ts";
import { flatten, readValues, typedParameters, typedValues } from "./values.ts";

export interface CompiledFile {
  /** As it was named on the command line; standard input is `<stdin>`. */
  file: string;
  text: string;
  result: CompileResult;
  failed: boolean;
}

/** Reads and compiles one config. What is wrong with it is in the result; only what can't be read is thrown. */
export async function compileFile(io: Io, file: string, options: CompileOptions): Promise<CompiledFile> {
  const text = await readInput(io, file);
  const name = file === "-" ? "<stdin>" : file;
  const parameters = typedParameters(await readValues(io, options.pipelineParameters), text);
  const values = flatten(typedValues(await readValues(io, options.pipelineValues)));
  const result = await compileConfig(text, {
    file: name,
    orbs: orbSource(io, options),
    pipelineParameters: parameters,
    ...(Object.keys(values).length > 0 && { pipelineValues: values }),
    signal: io.interrupted,
  });
  return { file: name, text, result, failed: result.diagnostics.some((one) => one.severity === "error") };
}

/** The findings with source line and caret. Empty when there are none. */
export function renderFindings({ result }: CompiledFile): string {
  return renderDiagnostics(result.diagnostics, result.texts);
}

export { printCompiled } from "../../config/index.ts";
