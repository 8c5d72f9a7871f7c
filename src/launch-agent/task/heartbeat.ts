import type { Clock } from "../../lib/clock.ts";
import type { AgentApi, Claim } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { retryPauseMs } from "../api/retry.ts";

export interface HeartbeatOptions {
  api: Pick<AgentApi, "heartbeat">;
  claim: Claim;
  clock: Clock;
  random: () => number;
  signal: AbortSignal;
  /** Without a word from the control plane for so long, the task is lost. */
  cutOffMs: number;
  onCancel: (reason: string) => void;
  /** The attempt is void, here and now. */
  onLost: (why: string, how: { adopted: boolean }) => void;
}

const longestWaitMs = 10_000;
/** A server that does not hold the call is asked this often. */
const paceMs = 1_000;

/** Keeps a lease until the signal fires. Never rejects. A control plane that is down is no reason to end a task. */
export async function keepLease(options: HeartbeatOptions): Promise<void> {
  const { api, claim, clock, signal } = options;
  const waitMs = Math.min(longestWaitMs, Math.floor(claim.leaseMs / 3));
  let lastHeardAt = clock.monotonic();
  let failures = 0;
  let cancelled = false;
  while (!signal.aborted) {
    const askedAt = clock.monotonic();
    try {
      const answer = await api.heartbeat(claim.token, cancelled ? 0 : waitMs, signal);
      lastHeardAt = clock.monotonic();
      failures = 0;
      if (answer.cancel && !cancelled) {
        cancelled = true;
        options.onCancel(answer.cancel.reason);
      }
      await rest(options, (cancelled ? waitMs : Math.min(paceMs, waitMs)) - (clock.monotonic() - askedAt));
    } catch (error) {
      if (signal.aborted) return;
      const lost = whyLost(error, clock.monotonic() - lastHeardAt, options.cutOffMs);
      const adopted = error instanceof ApiFailure && error.adopted;
      if (lost !== undefined) return options.onLost(lost, { adopted });
      const retryAfterMs = error instanceof ApiFailure ? error.retryAfterMs : undefined;
      await rest(options, retryPauseMs(failures++, retryAfterMs, options.random));
    }
  }
}

function whyLost(error: unknown, silentMs: number, cutOffMs: number): string | undefined {
  if (error instanceof ApiFailure && (error.fenced || error.notFound)) return error.message;
  if (silentMs > cutOffMs) return `no word from the control plane for ${Math.round(silentMs / 1000)} s`;
  return undefined;
}

async function rest(options: HeartbeatOptions, ms: number): Promise<void> {
  if (ms <= 0) return;
  // The signal ends the loop; there is nothing else to tell.
  await options.clock.sleep(ms, options.signal).catch(() => undefined);
}
