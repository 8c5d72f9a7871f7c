import { type GraphJob, printable, type WorkflowGraph } from "./workflow-graph.ts";

/** Text for Mermaid: a flowchart with one box a workflow. */
export function drawMermaid(workflows: readonly WorkflowGraph[]): string {
  const lines = ["flowchart LR", ...workflows.flatMap(drawWorkflow)];
  return `${lines.join("\n")}\n`;
}

function drawWorkflow({ name, jobs }: WorkflowGraph, workflow: number): string[] {
  const ids = new Map(jobs.map((job, index) => [job.name, `w${workflow}j${index}`]));
  const arrows = jobs.flatMap((job) => job.requires.flatMap((required) => drawArrow(required, job, ids)));
  const boxes = jobs.map((job) => `    ${ids.get(job.name)}${shape(job)}`);
  return [`  subgraph w${workflow} [${quoted(name)}]`, ...boxes, "  end", ...arrows];
}

function drawArrow(required: GraphJob["requires"][number], job: GraphJob, ids: Map<string, string>): string[] {
  const from = ids.get(required.name);
  if (from === undefined) return [];
  const label = required.statuses.length > 0 ? `|${quoted(required.statuses.join(" or "))}|` : "";
  return [`  ${from} -->${label} ${ids.get(job.name)}`];
}

/** Builds are boxes; what only waits or holds (approval, locks, no-op) is rounded. */
function shape({ name, type }: GraphJob): string {
  return type ? `([${quoted(`${name}: ${type}`)}])` : `[${quoted(name)}]`;
}

/** Mermaid has no escapes within quotes but its own entities. */
function quoted(text: string): string {
  return `"${printable(text).replaceAll("#", "#35;").replaceAll('"', "#quot;")}"`;
}
