import { setTimeout as sleepFor } from "node:timers/promises";

/** Time, passed in so that tests decide what it is. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. For what people read. */
  now(): number;
  /** Milliseconds that only grow. For durations and deadlines. */
  monotonic(): number;
  /** Rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleepFor(ms, undefined, signal ? { signal } : {});
  },
};
