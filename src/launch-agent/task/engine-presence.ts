import type { Engine } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorFacts, type Log } from "../log.ts";
import { orAbort } from "./or-abort.ts";

const lookMs = 1_000;

/**
 * Whether the engine is there. Whoever finds that it is not says so; that is told once, and looked after until it is back.
 * Meanwhile nothing new is begun.
 */
export class EnginePresence {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #back: Promise<void> | undefined;

  constructor(options: { engine: Engine; clock: Clock; log: Log }) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  get isAway(): boolean {
    return this.#back !== undefined;
  }

  /** A call failed as `unreachable`. */
  lost(error: unknown): void {
    if (this.#back || this.#closing.signal.aborted) return;
    this.#log.warn(errorFacts(error), "the engine does not answer: no task is claimed until it does");
    this.#back = this.#look(this.#closing.signal);
  }

  /** Resolves when the engine is there, at once when it is. Rejects with the signal's reason. */
  async back(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#back) await orAbort(this.#back, signal);
  }

  /** Looks after nothing any more. */
  close(): void {
    this.#closing.abort(new Error("closing"));
  }

  /** Never rejects. */
  async #look(signal: AbortSignal): Promise<void> {
    const beganAt = this.#clock.monotonic();
    while (!signal.aborted) {
      try {
        await this.#engine.info(signal);
        const awayMs = Math.round(this.#clock.monotonic() - beganAt);
        this.#log.info({ awayMs }, "the engine is back");
        break;
      } catch {
        await this.#clock.sleep(lookMs, signal).catch(() => undefined);
      }
    }
    this.#back = undefined;
  }
}
