import type { Diagnostic } from "../../config/index.ts";
import type { Io } from "../io.ts";
import { type CompiledFile, renderFindings } from "./compile.ts";
import { sarifOf } from "./sarif.ts";

export type Format = "text" | "json" | "sarif";

/** Writes the findings of all files to standard output. */
export function tellFindings(io: Io, format: Format, compiled: readonly CompiledFile[]): void {
  const findings = compiled.flatMap((one) => one.result.diagnostics);
  switch (format) {
    case "text":
      for (const one of compiled) tellInText(io, one);
      return;
    case "json":
      io.stdout.write(`${JSON.stringify(findings.map(asJson), null, 2)}\n`);
      return;
    default:
      io.stdout.write(`${JSON.stringify(sarifOf(findings), null, 2)}\n`);
  }
}

function tellInText(io: Io, compiled: CompiledFile): void {
  io.stdout.write(renderFindings(compiled));
  if (!compiled.failed) io.stdout.write(`Config file at ${compiled.file} is valid.\n`);
}

/** Every key is always there, so that tools need not ask for it. */
function asJson(diagnostic: Diagnostic): object {
  const { code, severity, message, file, line, column, endLine, endColumn, chain, hint = null, docs } = diagnostic;
  return { code, severity, message, file, line, column, endLine, endColumn, chain, hint, docs };
}
