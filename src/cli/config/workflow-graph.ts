import type { CompiledConfig } from "../../config/index.ts";

/** One workflow as a graph: jobs in the order of the config, each with what it waits for. */
export interface WorkflowGraph {
  name: string;
  jobs: GraphJob[];
}

export interface GraphJob {
  name: string;
  /** Absent for an ordinary build. */
  type?: string;
  /** Names of other jobs, with the outcomes that are waited for; none stands for success. */
  requires: { name: string; statuses: string[] }[];
}

/** Names come from other people's configs: no control character of theirs reaches a terminal. */
export function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, "\u{fffd}");
}

export function graphOf(config: CompiledConfig): WorkflowGraph[] {
  return Object.entries(config.workflows).map(([name, workflow]) => ({
    name,
    jobs: workflow.jobs.map((invocation) => graphJob(config, invocation)),
  }));
}

type Invocation = CompiledConfig["workflows"][string]["jobs"][number];

function graphJob(config: CompiledConfig, invocation: Invocation): GraphJob {
  const [name, options] =
    typeof invocation === "string" ? [invocation, {}] : (Object.entries(invocation)[0] ?? ["", {}]);
  const type = options.type ?? config.jobs[name]?.type;
  const requires = (options.requires ?? []).map((one) => {
    if (typeof one === "string") return { name: one, statuses: [] };
    const [required, statuses] = Object.entries(one)[0] ?? ["", []];
    return { name: required, statuses: [statuses].flat() };
  });
  return { name, ...(type && type !== "build" && { type }), requires };
}
