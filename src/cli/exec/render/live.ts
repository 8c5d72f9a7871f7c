import type { WatchEvent } from "../../../protocol/watch.ts";
import { isTerminal, type JobModel, type PipelineModel, type StepModel, type TaskModel, taskLabel } from "../model.ts";
import { LineSplitter } from "./lines.ts";
import { firstLine, plainView } from "./plain.ts";
import { statusMark, summary } from "./summary.ts";
import { duration, outcomeText, type Style, sane } from "./text.ts";
import type { RunFacts, TextSink, View } from "./view.ts";

interface LiveOptions {
  stdout: TextSink & { columns?: number; rows?: number };
  style: Style;
  colours: boolean;
  /** The output of this job is shown as it comes, above the live lines. */
  tail: string | undefined;
  stepOutput: RunFacts["stepOutput"];
  now: () => number;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 100;

/** On a terminal: one live line a job at the bottom, and above it what stays: the output of steps that failed. */
export function liveView(options: LiveOptions): View {
  const { stdout, style } = options;
  const region = liveRegion(stdout);
  const tailed = options.tail === undefined ? undefined : plainView({ ...options, stdout: region });
  // One after the other: two failures at once must not mix their lines.
  let told = Promise.resolve();
  let frame = 0;
  let shown: PipelineModel | undefined;
  const draw = () => {
    if (shown) region.draw(liveLines(shown, { ...options, spinner: frames[frame++ % frames.length] ?? "" }));
  };
  const timer = setInterval(draw, frameMs);
  timer.unref();

  const failed = (event: Extract<WatchEvent, { type: "step-ended" }>, model: PipelineModel) => {
    const job = model.jobs.get(event.jobId);
    const task = job?.tasks.get(event.taskId);
    const step = task?.steps.get(event.step);
    const trouble = outcomeText(event.outcome);
    if (!job || !task || !step || !trouble || event.outcome.kind === "canceled") return;
    told = told.then(() => tellFailure({ job, task, step, trouble, options, region }));
  };

  return {
    event(event, model) {
      shown = model;
      if (event.type === "step-ended" && options.tail === undefined) failed(event, model);
      tailed?.event(event, model);
    },
    notice: (text) => region.write(`${sane(text, { colours: false })}\n`),
    async end(model, facts) {
      clearInterval(timer);
      await told;
      region.draw([]);
      stdout.write(summary(model, { style, artifactsDirectory: facts.artifactsDirectory }));
    },
  };
}

async function tellFailure(failure: {
  job: JobModel;
  task: TaskModel;
  step: StepModel;
  trouble: string;
  options: LiveOptions;
  region: LiveRegion;
}): Promise<void> {
  const { job, task, step, trouble, options, region } = failure;
  const lines = new LineSplitter();
  const print = (line: string) => region.write(`${sane(line, options)}\n`);
  const title = `── ${sane(taskLabel(job, task, job.tasks.size), { colours: false })} ▸ ${sane(firstLine(step.name), options)}`;
  region.write(`\n${options.style(title, "bold")}\n`);
  for await (const bytes of options.stepOutput(task.id, step.number)) for (const line of lines.push(bytes)) print(line);
  for (const line of lines.end()) print(line);
  region.write(`${options.style(`── ${sane(trouble, options)}`, "red")}\n`);
}

function liveLines(model: PipelineModel, options: LiveOptions & { spinner: string }): string[] {
  const { style } = options;
  const width = options.stdout.columns ?? 80;
  const room = Math.max(3, (options.stdout.rows ?? 24) - 2);
  const jobs = [...model.jobs.values()];
  const nameWidth = Math.min(30, Math.max(4, ...jobs.map((job) => job.name.length)));
  const lines = jobs.map((job) => {
    const mark = isTerminal(job.status)
      ? statusMark(job.status)
      : { mark: job.status === "running" ? options.spinner : "·", colour: "dim" as const };
    const text = `${job.name.slice(0, nameWidth).padEnd(nameWidth)}  ${activity(job, options.now())}`;
    return `${style(mark.mark, mark.colour)} ${sane(text, { colours: false }).slice(0, Math.max(0, width - 3))}`;
  });
  if (lines.length <= room) return lines;
  const hidden = lines.length - room + 1;
  const running = jobs.flatMap((job, at) => (job.status === "running" ? [lines[at] ?? ""] : []));
  return [...(running.length > 0 ? running : lines).slice(0, room - 1), style(`  … and ${hidden} more jobs`, "dim")];
}

function activity(job: JobModel, now: number): string {
  if (job.status !== "running" || job.startedMs === undefined) {
    const took =
      job.startedMs !== undefined && job.endedMs !== undefined ? ` ${duration(job.endedMs - job.startedMs)}` : "";
    return `${job.status}${took}${job.reason ? `: ${job.reason}` : ""}`;
  }
  const tasks = [...job.tasks.values()];
  const done = tasks.filter((task) => isTerminal(task.status)).length;
  const progress = tasks.length > 1 ? ` ${done}/${tasks.length} done` : "";
  const current = tasks
    .filter((task) => !isTerminal(task.status))
    .flatMap((task) => [...task.steps.values()].filter((step) => !step.outcome))
    .at(-1);
  return `${duration(now - job.startedMs)}${progress}${current ? `  ${firstLine(current.name)}` : ""}`;
}

interface LiveRegion extends TextSink {
  /** Replaces the live lines. */
  draw(lines: string[]): void;
  /** Writes text that stays, above the live lines. They come back at the next draw after a newline. */
  write(text: string): void;
}

function liveRegion(stdout: TextSink): LiveRegion {
  let lines = 0;
  let atLineStart = true;
  const erase = () => (lines > 0 ? `\u001b[${lines}A\r\u001b[J` : "");
  return {
    draw(next) {
      if (!atLineStart) return;
      stdout.write(erase() + next.map((line) => `${line}\n`).join(""));
      lines = next.length;
    },
    write(text) {
      if (text === "") return;
      stdout.write(erase() + text);
      lines = 0;
      atLineStart = text.endsWith("\n");
    },
  };
}
