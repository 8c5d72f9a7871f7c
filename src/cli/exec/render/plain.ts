import type { WatchEvent } from "../../../protocol/watch.ts";
import { isTerminal, type JobModel, type PipelineModel, taskLabel } from "../model.ts";
import { LineSplitter } from "./lines.ts";
import { summary } from "./summary.ts";
import { duration, outcomeText, type Style, sane } from "./text.ts";
import type { TextSink, View } from "./view.ts";

interface PlainOptions {
  stdout: TextSink;
  style: Style;
  colours: boolean;
  /** Show the output of this job only; undefined: of all. */
  tail: string | undefined;
}

/** Piped output: every line carries its job, so that a log of parallel jobs can be read and searched. */
export function plainView(options: PlainOptions): View {
  const { stdout, style } = options;
  const splitters = new Map<string, LineSplitter>();
  // All lines in one write: a call of the system for each would take longer than everything else together.
  const print = (label: string, text: string) => {
    const prefix = `${style(`[${sane(label, { colours: false })}]`, "dim")} `;
    stdout.write(`${prefix}${text.replaceAll("\n", `\n${prefix}`)}\n`);
  };
  const printLines = (label: string, lines: string[]) => {
    if (lines.length > 0) print(label, sane(lines.join("\n"), options));
  };

  const output = (event: Extract<WatchEvent, { type: "output" }>, label: string) => {
    const key = `${event.taskId}:${event.step}`;
    let splitter = splitters.get(key);
    if (!splitter) splitters.set(key, (splitter = new LineSplitter()));
    printLines(label, splitter.push(Buffer.from(event.data, "base64")));
  };

  const stepEnded = (event: Extract<WatchEvent, { type: "step-ended" }>, label: string, job: JobModel) => {
    const key = `${event.taskId}:${event.step}`;
    printLines(label, splitters.get(key)?.end() ?? []);
    splitters.delete(key);
    const trouble = outcomeText(event.outcome);
    const name = job.tasks.get(event.taskId)?.steps.get(event.step)?.name ?? "step";
    if (trouble) print(label, style(`✗ ${sane(firstLine(name), options)}: ${sane(trouble, options)}`, "red"));
  };

  return {
    event(event, model) {
      if (event.type === "job") return jobChanged(event, model, { print, style });
      if (!("taskId" in event)) return;
      const job = model.jobs.get(event.jobId);
      const task = job?.tasks.get(event.taskId);
      if (!job || !task || (options.tail !== undefined && options.tail !== job.name)) return;
      const label = taskLabel(job, task, job.tasks.size);
      if (event.type === "step-started") print(label, style(`▸ ${sane(firstLine(event.name), options)}`, "bold"));
      else if (event.type === "output") output(event, label);
      else if (event.type === "step-ended") stepEnded(event, label, job);
      else if (event.type === "task" && event.message) print(label, sane(event.message, options));
    },
    notice: (text) => void stdout.write(`${sane(text, { colours: false })}\n`),
    async end(model, facts) {
      stdout.write(summary(model, { style, artifactsDirectory: facts.artifactsDirectory }));
    },
  };
}

function jobChanged(
  event: Extract<WatchEvent, { type: "job" }>,
  model: PipelineModel,
  { print, style }: { print: (label: string, text: string) => void; style: Style },
): void {
  const job = model.jobs.get(event.id);
  if (!job) return;
  const why = event.reason ? `: ${sane(event.reason, { colours: false })}` : "";
  if (isTerminal(event.status)) {
    const took = job.startedMs === undefined ? "" : ` in ${duration(event.atMs - job.startedMs)}`;
    print(job.name, style(`${event.status}${took}${why}`, event.status === "success" ? "green" : "red"));
  } else if (event.status === "on_hold" || event.reason) print(job.name, `${event.status}${why}`);
}

/** A step's name is its command where it has none of its own, and that may have many lines. */
export function firstLine(text: string): string {
  const end = text.trimStart().indexOf("\n");
  return end < 0 ? text.trim() : `${text.trimStart().slice(0, end)} …`;
}
