import type { JobModel, PipelineModel } from "../model.ts";
import { duration, type Style, sane } from "./text.ts";

const marks: Record<string, { mark: string; colour: "green" | "red" | "yellow" | "dim" }> = {
  success: { mark: "✓", colour: "green" },
  failed: { mark: "✗", colour: "red" },
  timedout: { mark: "✗", colour: "red" },
  infrastructure_fail: { mark: "!", colour: "red" },
  canceled: { mark: "-", colour: "yellow" },
  not_run: { mark: "-", colour: "dim" },
  on_hold: { mark: "?", colour: "yellow" },
};

export function statusMark(status: string): { mark: string; colour: "green" | "red" | "yellow" | "dim" } {
  return marks[status] ?? { mark: "·", colour: "dim" };
}

/** The table at the end: every job, how it ended, how long it took, why it was not run, and where artifacts lie. */
export function summary(
  model: PipelineModel,
  options: { style: Style; artifactsDirectory: string | undefined },
): string {
  const { style } = options;
  const jobs = [...model.jobs.values()];
  const nameOf = ({ name }: JobModel) => sane(name, { colours: false });
  const nameWidth = Math.max(4, ...jobs.map((job) => nameOf(job).length));
  const statusWidth = Math.max(6, ...jobs.map((job) => job.status.length));
  const lines = jobs.map((job) => {
    const { mark, colour } = statusMark(job.status);
    const cells = [nameOf(job).padEnd(nameWidth), job.status.padEnd(statusWidth), took(job).padStart(7), notes(job)];
    return `${style(mark, colour)} ${style(cells.join("  ").trimEnd(), colour === "green" ? "reset" : colour)}`;
  });
  const total = duration((model.endedMs ?? model.startedMs) - model.startedMs);
  const counts = [...new Set(jobs.map((job) => job.status))]
    .map((status) => `${jobs.filter((job) => job.status === status).length} ${status}`)
    .join(", ");
  const artifacts = options.artifactsDirectory ? [`artifacts: ${options.artifactsDirectory}`] : [];
  return `\n${[...lines, `${counts || "no jobs"} · ${total}`, ...artifacts].join("\n")}\n`;
}

function took(job: JobModel): string {
  return job.startedMs === undefined ? "" : duration((job.endedMs ?? job.startedMs) - job.startedMs);
}

function notes(job: JobModel): string {
  const tests =
    job.tests.total > 0 ? `${job.tests.total - job.tests.failed}/${job.tests.total} tests passed` : undefined;
  const artifacts = job.artifacts > 0 ? `${job.artifacts} artifact${job.artifacts > 1 ? "s" : ""}` : undefined;
  const tasks = job.tasks.size > 1 ? `${job.tasks.size} tasks` : undefined;
  const reason = job.reason ? sane(job.reason, { colours: false }) : undefined;
  return [tasks, tests, artifacts, reason].filter((note) => note !== undefined).join(", ");
}
