/**
 * The compiler of `.circleci/config.yml`: text in, the compiled form or findings out. Pure: no I/O, no clock, no throws.
 *
 * Data flows one way through the folders: parse (text → positioned nodes) → schema (their shape, all findings at once) →
 * expand (parameters, templates, orbs, commands, executors, matrices, job groups, conditions) → compile (names,
 * requirements, the compiled form) → print. lint warns about what is allowed and most likely a mistake; diagnostics are
 * what all of them report; expression is the language inside of `when` and `<< >>`. compile-config.ts is the way through.
 */

export { suggestion } from "../lib/nearest.ts";
export { type CompileResult, compileConfig } from "./compile-config.ts";
export type * from "./compiled.ts";
export { codes, type DiagnosticCode, warningCodes } from "./diagnostics/codes.ts";
export type { Diagnostic } from "./diagnostics/diagnostic.ts";
export { renderDiagnostic, renderDiagnostics } from "./diagnostics/render.ts";
export {
  firstOf,
  type OrbAnswer,
  type OrbReference,
  type OrbSource,
  type RegistryOrbReference,
} from "./orb-source.ts";
export { printCompiled } from "./print/print.ts";
export { validateOrb } from "./validate-orb.ts";
