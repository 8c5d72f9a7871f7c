import type { OrbSource } from "./orb-source.ts";

export interface CompileOptions {
  /** How diagnostics call the text; default `.circleci/config.yml`. */
  file?: string;
  /** Values for the config's own `parameters:`, typed: `true`, `3`, `"text"`. */
  pipelineParameters?: Readonly<Record<string, unknown>>;
  /** Values of `pipeline.…` names, with or without that prefix; others have the values of a local run. */
  pipelineValues?: Readonly<Record<string, unknown>>;
  /** Where registry and URL orbs come from; without, only inline orbs are there. */
  orbs?: OrbSource;
  /** Bounds the fetching of orbs. */
  signal?: AbortSignal;
}
