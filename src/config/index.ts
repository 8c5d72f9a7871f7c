/** The compiler of `.circleci/config.yml`: text in, the compiled form or findings out. Pure: no I/O, no clock, no throws. */
export { type CompileResult, compileConfig } from "./compile-config.ts";
export type { CompileOptions } from "./compile-options.ts";
export type * from "./compiled.ts";
export { codes, type DiagnosticCode, warningCodes } from "./diagnostics/codes.ts";
export type { Diagnostic } from "./diagnostics/diagnostic.ts";
export { suggestion } from "./diagnostics/nearest.ts";
export { renderDiagnostic, renderDiagnostics } from "./diagnostics/render.ts";
export {
  firstOf,
  type OrbAnswer,
  type OrbReference,
  type OrbSource,
  type RegistryOrbReference,
  type UrlOrbReference,
} from "./orb-source.ts";
export { pipelineValues } from "./pipeline-values.ts";
export { type PrintOptions, printCompiled } from "./print/print.ts";
export { type OrbCheckOptions, validateOrb } from "./validate-orb.ts";
