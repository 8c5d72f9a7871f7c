import type { Clock } from "../../lib/clock.ts";
import { errorFacts, type Log } from "../log.ts";
import { settledWithin } from "../task/or-abort.ts";
import type { Ledger } from "./ledger.ts";
import type { Succession } from "./succession.ts";

const pauseMs = 60_000;
const firstMs = 10_000;
const lastMs = 10_000;

export interface SweeperOptions {
  ledger: Pick<Ledger, "sweep">;
  /** Undefined: nobody was this agent before. */
  succession: Pick<Succession, "isDone"> | undefined;
  clock: Clock;
  log: Log;
}

/** Looks for what dead agents left, again and again. */
export class Sweeper {
  readonly #options: SweeperOptions;
  #hasCleared = false;
  #woken = Promise.withResolvers<void>();

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** First once it is known what is to be kept; but not much later, as others leave things, too. Never rejects. */
  async run(adopted: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    if (!(await settledWithin(adopted, firstMs, clock))) await this.#sweep(signal);
    await adopted;
    while (!signal.aborted) {
      this.#woken = Promise.withResolvers();
      await this.#sweep(signal);
      const waited = new AbortController();
      const pause = clock.sleep(pauseMs, AbortSignal.any([signal, waited.signal])).catch(() => undefined);
      await Promise.race([pause, this.#woken.promise]);
      waited.abort();
    }
  }

  /** More may be cleared away than before. */
  lookAgain(): void {
    this.#woken.resolve();
  }

  /** It has not once looked for all that the earlier processes of its name left. */
  get owesOne(): boolean {
    return this.#options.succession !== undefined && !this.#hasCleared;
  }

  /** One look more, if it does not take long. Never rejects. */
  async last(): Promise<void> {
    await settledWithin(this.#sweep(new AbortController().signal), lastMs, this.#options.clock);
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { ledger, succession, log } = this.#options;
    try {
      const isDone = succession?.isDone === true;
      await ledger.sweep(signal);
      // One that was cut off resolves, too.
      if (isDone && !signal.aborted) this.#hasCleared = true;
    } catch (error) {
      if (!signal.aborted) log.warn(errorFacts(error), "could not look for what dead agents left");
    }
  }
}
