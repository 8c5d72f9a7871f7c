import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StepOutcome } from "../../protocol/records.ts";
import type { RunStep } from "../../protocol/task.ts";
import { type RunningProcess, SpawnError, startProcess } from "../process/process.ts";
import { makeDirectory } from "../workspace/make-directory.ts";
import { resolvePath } from "../workspace/places.ts";
import { Interrupt, type StepContext, StepFailure, succeeded } from "./context.ts";
import { shellFor } from "./shell.ts";

/** The kernel takes no argument over 128 KiB; a longer script goes through a file. */
const maxArgumentBytes = 128 * 1024 - 1;

/** Runs a script, again where it fails and the step allows that. */
export async function run(step: RunStep, context: StepContext): Promise<StepOutcome> {
  for (let reruns = 0; ; reruns += 1) {
    const outcome = await runOnce(step, context);
    if (outcome.kind !== "exited" || reruns >= step.maxAutoReruns) return outcome;
    context.output.say(
      `[cofferdam] Exited with code ${outcome.code}. Rerun ${reruns + 1} of ${step.maxAutoReruns} in ${step.autoRerunDelayMs / 1000} s.`,
    );
    await context.clock.sleep(step.autoRerunDelayMs, context.signal).catch(() => {});
    if (context.signal.aborted) return (context.signal.reason as Interrupt).outcome;
  }
}

async function runOnce(step: RunStep, context: StepContext): Promise<StepOutcome> {
  const watch = new SilenceWatch(step.background ? 0 : step.noOutputTimeoutMs);
  const running = await start(step, context, watch);
  let interrupt: Interrupt | undefined;
  const end = (reason: Interrupt): void => {
    interrupt ??= reason;
    running.terminate({ graceMs: context.hurry.aborted ? 0 : context.work.killGraceMs });
  };
  const onSignal = (): void => end(context.signal.reason as Interrupt);
  const onHurry = (): void => running.terminate({ graceMs: 0 });
  context.signal.addEventListener("abort", onSignal);
  context.hurry.addEventListener("abort", onHurry);
  if (context.signal.aborted) onSignal();
  watch.onSilence = (afterMs) => end(new Interrupt({ kind: "timed-out", limit: "no-output", afterMs }));
  try {
    const exit = await running.exit;
    if (interrupt) return interrupt.outcome;
    return exit.code === 0 ? succeeded : { kind: "exited", ...exit };
  } finally {
    watch.stop();
    context.signal.removeEventListener("abort", onSignal);
    context.hurry.removeEventListener("abort", onHurry);
  }
}

async function start(step: RunStep, context: StepContext, watch: SilenceWatch): Promise<RunningProcess> {
  const directory = workingDirectory(step, context);
  const shell = shellFor(step.shell ?? context.work.shell);
  const environment = { ...context.environment, ...step.environment, PWD: directory };
  try {
    return await startProcess(
      { argv: [...shell, ...script(step.command, context)], environment, directory },
      {
        pipes: context.pipes,
        onOutput: (stream, chunk) => {
          watch.heard();
          context.output.write(stream, chunk);
          return context.pressure.room();
        },
      },
    );
  } catch (error) {
    if (error instanceof SpawnError) throw new StepFailure(spawnMessage(error.code, shell[0]), { cause: error });
    throw error;
  }
}

function workingDirectory(step: RunStep, context: StepContext): string {
  const { home, workingDirectory: jobs } = context.places;
  const directory = step.workingDirectory === undefined ? jobs : resolvePath(step.workingDirectory, home, jobs);
  try {
    makeDirectory(directory);
    return directory;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === "EEXIST" || code === "ENOTDIR" ? "there is a file in its place" : `it cannot be made (${code})`;
    throw new StepFailure(
      `The working directory ${directory} cannot be used: ${why}. Give the step a \`working_directory\` that this image's user may write.`,
      { cause },
    );
  }
}

function script(command: string, context: StepContext): string[] {
  if (Buffer.byteLength(command) <= maxArgumentBytes) return ["-c", command];
  const directory = context.places.privateDirectory;
  if (directory === undefined)
    throw new StepFailure(
      "The command is over 128 KiB and there is no writable /tmp to put it into a file. Move it into a script of the repository.",
    );
  const path = join(directory, `step-${context.number}.sh`);
  writeFileSync(path, command);
  return [path];
}

function spawnMessage(code: string, shell: string): string {
  switch (code) {
    case "ENOENT":
      return `The shell ${shell} does not exist in this image. Choose an image that has it, or another \`shell:\`.`;
    case "EACCES":
      return `The shell ${shell} cannot be executed by this image's user. Check its permissions, or use another \`shell:\`.`;
    case "E2BIG":
      return "The environment is too big for the kernel to start a process with. Put long values into files.";
    case "EAGAIN":
      return "No process can be started: the job has reached its limit of processes. Look for background processes that earlier steps left.";
    default:
      return `The shell ${shell} cannot be started: ${code}.`;
  }
}

/** Calls back once when nothing has been heard for as long as the limit. A limit of 0 never does. */
class SilenceWatch {
  onSilence: (afterMs: number) => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    if (limitMs > 0) this.#timer = setTimeout(() => this.onSilence(limitMs), Math.min(limitMs, 2 ** 31 - 1));
  }

  heard(): void {
    this.#timer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
