import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { StepOutcome, TaskStatus } from "../../protocol/records.ts";
import { firstTaskStep } from "../../protocol/sync.ts";
import type { Step, Work } from "../../protocol/task.ts";
import type { Channel } from "../channel/channel.ts";
import { Masker } from "../mask/mask.ts";
import { type StepOutput, TaskOutput } from "../output/output.ts";
import { memoryKills, outOfMemoryText } from "../process/memory.ts";
import type { PipeSource } from "../process/pipes.ts";
import type { Pressure } from "../spool/pressure.ts";
import { Interrupt, type StepContext } from "../steps/context.ts";
import { runStep } from "../steps/index.ts";
import type { Places } from "../workspace/places.ts";
import { isFull } from "../workspace/usage.ts";
import { watchWorkspace } from "../workspace/watch.ts";
import { outcomeOf, outcomeText } from "./outcome.ts";

export interface TaskOptions {
  channel: Channel;
  pressure: Pressure;
  pipes: PipeSource;
  clock: Clock;
  places: Places;
  environment: Readonly<Record<string, string>>;
  /** Kills what the steps have left behind. */
  killStragglers: () => void;
}

/** How a step ended, and what is known of the reason beyond that. */
interface Ended {
  outcome: StepOutcome;
  why?: string;
}

/** What an interrupted background step gets before SIGKILL: its job is done. */
const backgroundGraceMs = 2000;
/** Timers count no further. */
const maxTimerMs = 2 ** 31 - 1;

/** Runs the steps of one task in order, and tells the channel. */
export class TaskRun {
  readonly #work: Work;
  readonly #options: TaskOptions;
  readonly #output: TaskOutput;
  readonly #masker: Masker;
  readonly #interrupted = new AbortController();
  readonly #hurry = new AbortController();
  readonly #over = new AbortController();
  readonly #background: Promise<void>[] = [];
  #stepFailed = false;
  #status: TaskStatus = "success";
  #message: string | undefined;

  constructor(work: Work, options: TaskOptions) {
    this.#work = work;
    this.#options = options;
    this.#masker = new Masker(work.secrets);
    this.#output = new TaskOutput({
      record: (record, bytes) => options.channel.record(record, bytes),
      masker: this.#masker,
      clock: options.clock,
      limitBytes: work.outputBytes,
    });
  }

  /** Ends the running step and the task. The second time without grace. */
  cancel(status: "canceled" | "timedout", hurry: boolean): void {
    if (hurry) this.#hurry.abort();
    const afterMs = this.#work.maxRunTimeMs;
    this.#interrupt(
      status,
      status === "canceled" ? { kind: status } : { kind: "timed-out", limit: "run-time", afterMs },
    );
  }

  /** Resolves when the last record has been written. Never rejects. */
  async run(): Promise<void> {
    const limitMs = Math.min(this.#work.maxRunTimeMs, maxTimerMs);
    const limit = setTimeout(() => this.cancel("timedout", false), limitMs);
    for (const [index, step] of this.#work.steps.entries()) {
      if (this.#interrupted.signal.aborted || this.#halted() || this.#status === "infrastructure_fail") break;
      if (isDue(step, this.#stepFailed)) await this.#begin(step, firstTaskStep + index);
    }
    this.#over.abort(new Interrupt({ kind: "succeeded" }));
    await Promise.all(this.#background);
    clearTimeout(limit);
    this.#options.killStragglers();
    const message = this.#message === undefined ? {} : { message: this.#message.slice(0, 8192) };
    this.#record({ type: "task-ended", status: this.#status, ...message, atMs: this.#options.clock.now() });
  }

  async #begin(step: Step, number: number): Promise<void> {
    const background = step.type === "run" && step.background;
    const name = this.#masker.text(step.name).slice(0, 4096);
    this.#record({
      type: "step-started",
      step: number,
      name,
      kind: step.type,
      ...(background && { background }),
      atMs: this.#options.clock.now(),
    });
    const output = this.#output.step(number);
    if (background) this.#background.push(this.#runInBackground(step, number, output));
    else this.#settle(await this.#runToEnd(step, number, output), name);
  }

  async #runToEnd(step: Step, number: number, output: StepOutput): Promise<Ended> {
    const own = new AbortController();
    const { workingDirectory } = this.#options.places;
    using _watch = watchWorkspace({
      directory: workingDirectory,
      limitBytes: this.#work.workspaceBytes,
      onOver: (message) => own.abort(new Interrupt({ kind: "failed", message })),
    });
    const signal = AbortSignal.any([this.#interrupted.signal, own.signal]);
    const kills = memoryKills();
    const outcome = await this.#outcome(step, this.#context(number, output, signal));
    if (outcome.kind === "exited" && isFull(workingDirectory))
      output.say(
        `[cofferdam] The disk of the workspace (${workingDirectory}) is full; that may be why this step failed. Write less, or free room on the host.`,
      );
    const outOfMemory = outcome.kind === "exited" && memoryKills() > kills ? outOfMemoryText() : undefined;
    if (outOfMemory !== undefined) output.say(`[cofferdam] A process of this step was killed: ${outOfMemory}.`);
    this.#end(number, output, outcome);
    return { outcome, ...(outOfMemory !== undefined && { why: outOfMemory }) };
  }

  async #runInBackground(step: Step, number: number, output: StepOutput): Promise<void> {
    const context = this.#context(number, output, AbortSignal.any([this.#interrupted.signal, this.#over.signal]));
    const killGraceMs = Math.min(this.#work.killGraceMs, backgroundGraceMs);
    this.#end(number, output, await this.#outcome(step, { ...context, work: { ...this.#work, killGraceMs } }));
  }

  async #outcome(step: Step, context: StepContext): Promise<StepOutcome> {
    try {
      return await runStep(step, context);
    } catch (error) {
      return outcomeOf(error, context.signal);
    }
  }

  #context(number: number, output: StepOutput, signal: AbortSignal): StepContext {
    const { channel, pressure, pipes, clock, places, environment } = this.#options;
    const around = { channel, pressure, pipes, clock, places, environment };
    return { ...around, work: this.#work, number, output, signal, hurry: this.#hurry.signal };
  }

  #end(step: number, output: StepOutput, outcome: StepOutcome): void {
    output.end();
    const told =
      "message" in outcome ? { ...outcome, message: this.#masker.text(outcome.message).slice(0, 8192) } : outcome;
    this.#record({ type: "step-ended", step, outcome: told, atMs: this.#options.clock.now() });
  }

  #settle({ outcome, why }: Ended, name: string): void {
    if (outcome.kind === "succeeded") return;
    this.#stepFailed = true;
    if (this.#status !== "success") return;
    this.#status = outcome.kind === "infrastructure" ? "infrastructure_fail" : "failed";
    this.#message = this.#masker.text(`step "${name}" ${outcomeText(outcome)}${why === undefined ? "" : `: ${why}`}`);
  }

  #interrupt(status: TaskStatus, outcome: StepOutcome): void {
    if (this.#interrupted.signal.aborted) return;
    this.#status = status;
    this.#message = outcomeText(outcome);
    this.#interrupted.abort(new Interrupt(outcome));
  }

  /** `circleci-agent step halt` leaves this file. */
  #halted(): boolean {
    const directory = this.#options.places.privateDirectory;
    return directory !== undefined && existsSync(join(directory, "halt"));
  }

  #record(record: Parameters<Channel["record"]>[0]): void {
    this.#options.channel.record(record);
  }
}

function isDue(step: Step, failed: boolean): boolean {
  if (step.type === "store_artifacts" || step.type === "store_test_results") return true;
  const when = step.type === "run" || step.type === "save_cache" ? step.when : "on_success";
  return when === "always" || (when === "on_fail") === failed;
}
