import type { Clock } from "../lib/clock.ts";

/** Wakes those who wait for a topic. It carries no data: who wakes up reads the store. */
export class Notifier {
  readonly #waiters = new Map<string, Set<() => void>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  tell(topic: string): void {
    const waiters = this.#waiters.get(topic);
    if (!waiters) return;
    for (const wake of waiters) wake();
  }

  /**
   * Listens from now on, so that nothing is missed between a look into the store and the wait for news.
   * `wait` resolves once the topic was told since the last wait, or after `timeoutMs`; it rejects when the signal aborts.
   */
  listen(topic: string): Listener {
    let told = false;
    let wakeUp: (() => void) | undefined;
    const wake = (): void => {
      told = true;
      wakeUp?.();
    };
    const waiters = this.#waiters.get(topic) ?? new Set();
    this.#waiters.set(topic, waiters.add(wake));
    return {
      wait: async ({ timeoutMs, signal }) => {
        signal.throwIfAborted();
        if (!told) await this.#sleep({ timeoutMs, signal, onWake: (wakeNow) => void (wakeUp = wakeNow) });
        told = false;
      },
      [Symbol.dispose]: () => {
        waiters.delete(wake);
        if (waiters.size === 0 && this.#waiters.get(topic) === waiters) this.#waiters.delete(topic);
      },
    };
  }

  async #sleep(options: SleepOptions): Promise<void> {
    const woken = new AbortController();
    options.onWake(() => woken.abort());
    try {
      await this.#clock.sleep(options.timeoutMs, AbortSignal.any([options.signal, woken.signal]));
    } catch (error) {
      options.signal.throwIfAborted();
      if (!woken.signal.aborted) throw error;
    } finally {
      options.onWake(undefined);
    }
  }
}

interface SleepOptions {
  timeoutMs: number;
  signal: AbortSignal;
  onWake: (wake: (() => void) | undefined) => void;
}

export interface Listener extends Disposable {
  wait(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
}
