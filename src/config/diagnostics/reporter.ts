import type { DiagnosticCode } from "./codes.ts";
import { warningCodes } from "./codes.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { Place } from "./source.ts";

const maxDiagnostics = 200;

export interface Finding {
  code: DiagnosticCode;
  at: Place;
  message: string;
  hint?: string | undefined;
  /** Outermost first; see Diagnostic. */
  chain?: string[];
}

/** Gathers findings. The same finding at the same place is told once, however many jobs a matrix makes of it. */
export class Reporter {
  readonly diagnostics: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  #errors = 0;

  get errors(): number {
    return this.#errors;
  }

  get full(): boolean {
    return this.diagnostics.length >= maxDiagnostics;
  }

  report(finding: Finding): void {
    const severity = warningCodes.has(finding.code) ? "warning" : "error";
    if (severity === "error") this.#errors++;
    // A step is checked where it is written and where it is used, which differs in the pointer only.
    const message = finding.message.replace(/^\[[^\]]*\] /, "");
    const key = `${finding.code} ${finding.at.source.file} ${finding.at.start} ${message}`;
    if (this.full || this.#seen.has(key)) return;
    this.#seen.add(key);
    this.diagnostics.push(diagnosticOf(finding, severity));
  }
}

function diagnosticOf(finding: Finding, severity: "error" | "warning"): Diagnostic {
  const { source, start, end } = finding.at;
  const from = source.position(start);
  const to = source.position(Math.max(start, end));
  return {
    code: finding.code,
    severity,
    message: finding.message,
    file: source.file,
    line: from.line,
    column: from.column,
    endLine: to.line,
    endColumn: to.column,
    chain: finding.chain ?? [],
    ...(finding.hint === undefined ? {} : { hint: finding.hint }),
    docs: `docs/diagnostics.md#${finding.code}`,
  };
}
