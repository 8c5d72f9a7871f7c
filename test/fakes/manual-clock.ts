import { setImmediate as turn } from "node:timers/promises";
import { type Clock, systemClock } from "../../src/lib/clock.ts";

/** Shorter ones wait for this machine, not for the time of day. */
const shortMs = 100;

/** A clock that a test moves. Only short sleeps, and durations, are real. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<{ untilMs: number; wake: () => void }>();

  constructor(now: string) {
    this.#nowMs = Date.parse(now);
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms < shortMs) return await systemClock.sleep(ms, signal);
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#nowMs + ms, wake: resolve };
    const abort = (): void => reject(signal?.reason as Error);
    this.#sleepers.add(sleeper);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Wakes whoever has slept until then, and waits until as many sleep again: loops have done their work. */
  async set(now: string): Promise<void> {
    const asleep = this.#sleepers.size;
    this.pass(Date.parse(now) - this.#nowMs);
    while (this.#sleepers.size < asleep) await turn();
  }

  /** The same of what sleeps once only: waits for nobody. */
  pass(ms: number): void {
    this.#nowMs += ms;
    const woken = [...this.#sleepers].filter(({ untilMs }) => untilMs <= this.#nowMs);
    for (const sleeper of woken) {
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}
