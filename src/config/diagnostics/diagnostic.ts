import type { DiagnosticCode } from "./codes.ts";

/** One finding about a config. All that is needed to show it, and plain data: it goes into JSON as it is. */
export interface Diagnostic {
  code: DiagnosticCode;
  severity: "error" | "warning";
  /** What is wrong; CircleCI's own wording where it has one. May have several lines. */
  message: string;
  file: string;
  /** 1-based, like `column`; the end is exclusive. */
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
  /** CircleCI's lines about the way there, outermost first: `Error calling workflow: 'w'`, `Error calling job: 'j'`. */
  chain: string[];
  /** What to do about it. */
  hint?: string;
  /** Where the code is explained. */
  docs: string;
}
