import { stringify } from "yaml";
import type { CompiledConfig, CompiledJob } from "../compiled.ts";

export interface PrintOptions {
  /** The config as it was written: it stands at the end as a comment. */
  source?: string;
  /** What orb references were resolved to: they stand at the top. */
  orbs?: readonly { reference: string; resolved: string }[];
}

/** The compiled config as YAML of version 2, as CircleCI prints it. */
export function printCompiled(config: CompiledConfig, options: PrintOptions = {}): string {
  const head = (options.orbs ?? []).map(
    ({ reference, resolved }) => `# Orb '${reference}' resolved to '${resolved}'\n`,
  );
  const document = {
    version: 2,
    ...(config.setup ? { setup: true } : {}),
    jobs: mapValues(config.jobs, printedJob),
    workflows: { version: 2, ...config.workflows },
  };
  const body = stringify(document, {
    aliasDuplicateObjects: false,
    lineWidth: 0,
    indentSeq: false,
    version: "1.1",
    schema: "yaml-1.1",
    compat: "core",
  });
  return [...head, body, ...tail(options.source)].join("");
}

/** Jobs that are no builds have no steps. */
function printedJob(job: CompiledJob): Record<string, unknown> {
  if (job.type === undefined || job.type === "build" || job.steps.length > 0) return job;
  const { steps: _, ...rest } = job;
  return rest;
}

function mapValues<T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function tail(source: string | undefined): string[] {
  if (source === undefined) return [];
  const lines = source.replace(/\n$/, "").split("\n");
  return ["\n# Original config.yml file:\n", ...lines.map((line) => (line === "" ? "#\n" : `# ${line}\n`))];
}
