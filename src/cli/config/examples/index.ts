import type { DiagnosticCode } from "../../../config/index.ts";
import type { Example } from "./example.ts";
import { jobExamples } from "./jobs.ts";
import { nameExamples } from "./names.ts";
import { textExamples } from "./text.ts";
import { valueExamples } from "./values.ts";

export type { Example } from "./example.ts";

/** One example for every code: the compiler of this file misses one that is forgotten. */
export const examples: Record<DiagnosticCode, Example> = {
  ...textExamples,
  ...nameExamples,
  ...valueExamples,
  ...jobExamples,
};
