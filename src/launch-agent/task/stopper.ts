import { isEngineError } from "../../engine/engine.ts";
import type { TaskEnd } from "./end.ts";
import { settledWithin } from "./or-abort.ts";
import type { RunParts } from "./parts.ts";

const hurryMs = 1_000;

export interface Forced {
  status: "canceled" | "timedout";
  reason: string;
}

/** Has a task end that has begun: it is asked to, given its grace, and killed. */
export class TaskStopper {
  readonly #parts: RunParts;
  readonly #finish: (end: TaskEnd) => void;
  #forced: Forced | undefined;

  constructor(parts: RunParts, finish: (end: TaskEnd) => void) {
    this.#parts = parts;
    this.#finish = finish;
  }

  get forced(): Forced | undefined {
    return this.#forced;
  }

  /** How the task ends when it ends now; undefined where nobody wanted it to. */
  get forcedEnd(): TaskEnd | undefined {
    return this.#forced && { kind: "ended", status: this.#forced.status, message: this.#forced.reason };
  }

  /** The second time without grace. */
  stop(status: Forced["status"], reason: string, options: { hurry: boolean }): void {
    const { link, claim, context, alongside } = this.#parts;
    const again = this.#forced !== undefined;
    this.#forced ??= { status, reason };
    if (!link.begun) return this.#finish({ kind: "ended", ...this.#forced, message: reason });
    link.cancel(status, reason);
    if (options.hurry && !again) link.cancel(status, reason);
    const graceMs = claim.task.work.killGraceMs + context.limits.cancelSlackMs;
    alongside(this.#insist(options.hurry || again ? hurryMs : graceMs));
  }

  /** The task agent has the task, perhaps anew: what it was asked before may not have arrived. */
  remind(): void {
    if (this.#forced) this.#parts.link.cancel(this.#forced.status, this.#forced.reason);
  }

  /** The task agent ends the task itself when its time is up; this is for one that does not. */
  async watchRunTime(): Promise<void> {
    const { claim, context, signal } = this.#parts;
    const { maxRunTimeMs, killGraceMs } = claim.task.work;
    await this.#sleep(maxRunTimeMs + killGraceMs + context.limits.runTimeSlackMs);
    if (signal.aborted) return;
    this.stop("timedout", `longer than the limit of ${Math.round(maxRunTimeMs / 1000)} s`, { hurry: false });
  }

  async #insist(afterMs: number): Promise<void> {
    const { containers, context, signal } = this.#parts;
    await this.#sleep(afterMs);
    const id = containers.primary;
    if (signal.aborted || id === undefined) return;
    const killed = context.engine.kill(id, signal).then(
      () => true,
      (error: unknown) => !isEngineError(error, "unreachable"),
    );
    // Whether or not the engine obeys: the task ends here.
    if ((await settledWithin(killed, context.limits.drainMs, context.clock)) && (await killed)) return;
    this.#finish(this.forcedEnd ?? { kind: "infrastructure", message: "the container could not be killed" });
  }

  async #sleep(ms: number): Promise<void> {
    const { context, signal } = this.#parts;
    await context.clock.sleep(ms, signal).catch(() => undefined);
  }
}
