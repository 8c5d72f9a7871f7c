import type { Clock } from "../../lib/clock.ts";
import { ApiFailure } from "./failure.ts";

export interface RetryOptions {
  clock: Clock;
  /** 0 ≤ n < 1. */
  random: () => number;
  signal: AbortSignal;
  /** Counted from the first failure on. */
  giveUpAfterMs: number;
}

const firstPauseMs = 100;
const longestPauseMs = 5_000;
const longestRetryAfterMs = 600_000;

/** Tries again after what may pass: no answer, or none of a control plane, 5xx, 429. Everything else, and the caller's signal, ends it at once. */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  let giveUpAt: number | undefined;
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof ApiFailure) || !error.retryable) throw error;
      const pauseMs = retryPauseMs(failures, error.retryAfterMs, options.random);
      giveUpAt ??= options.clock.monotonic() + options.giveUpAfterMs;
      if (options.clock.monotonic() + pauseMs > giveUpAt) throw error;
      await options.clock.sleep(pauseMs, options.signal);
    }
  }
}

/** Full jitter: anything between nothing and the doubled pause, so that many agents do not come back at once. */
export function retryPauseMs(failures: number, retryAfterMs: number | undefined, random: () => number): number {
  const jitterMs = random() * Math.min(longestPauseMs, firstPauseMs * 2 ** failures);
  return Math.min(retryAfterMs ?? 0, longestRetryAfterMs) + jitterMs;
}
