import type { Clock } from "../lib/clock.ts";

/** When an agent ends by itself. */
export interface Modes {
  /** After one task. */
  singleTask?: boolean;
  /** When there was no task for so long. */
  idleTimeoutMs?: number;
  /** Longest time of a task; and of draining, after which what still runs is cancelled. */
  maxRunTimeMs?: number;
  /** How long all tokens may be refused, without a break, before this agent ends: at its start, and later. */
  refusedAtStartMs?: number;
  refusedLaterMs?: number;
}

/** Waits until nothing has run for so long, as `busy` says when it is asked. Rejects with the signal's reason. */
export async function untilIdleFor(
  timeoutMs: number,
  options: { clock: Clock; busy: () => boolean; lastBusyMs: () => number; signal: AbortSignal },
): Promise<void> {
  const { clock, busy, lastBusyMs, signal } = options;
  for (;;) {
    const leftMs = busy() ? timeoutMs : lastBusyMs() + timeoutMs - clock.monotonic();
    if (leftMs <= 0) return;
    await clock.sleep(leftMs, signal);
  }
}
