import type { Clock } from "../../lib/clock.ts";
import type { AgentApi, Claim } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { retryPauseMs } from "../api/retry.ts";
import { errorFacts, type Log } from "../log.ts";
import type { Room } from "./capacity.ts";

export interface ClaimLoopOptions {
  api: Pick<AgentApi, "claim">;
  agent: { name: string; hostname: string; version: string };
  room: Room;
  /** How long the server may hold a claim. */
  waitMs: number;
  /** Owns the task and its place from here on, and gives the place back. */
  onClaim: (claim: Claim) => void;
  clock: Clock;
  random: () => number;
  newId: () => string;
  log: Log;
  /** No new claims once it fires. */
  signal: AbortSignal;
}

/** A server that answers at once that there is nothing is asked this often. */
const paceMs = 1_000;

/** Claims tasks while there is room, one call at a time, until the signal fires. Never rejects. */
export async function claimTasks(options: ClaimLoopOptions): Promise<void> {
  const { room, signal } = options;
  while (!signal.aborted) {
    try {
      await room.takePlace(signal);
    } catch {
      return;
    }
    const claim = await claimOne(options);
    if (claim) options.onClaim(claim);
    else room.leavePlace();
  }
}

/** One claim under one id until it is answered: a task whose answer was lost is handed out again, to us. */
async function claimOne(options: ClaimLoopOptions): Promise<Claim | undefined> {
  const { api, agent, clock, signal, log } = options;
  const request = { ...agent, claim_id: options.newId(), wait_ms: options.waitMs };
  for (let failures = 0; !signal.aborted; failures++) {
    const askedAt = clock.monotonic();
    try {
      const claim = await api.claim(request, signal);
      if (claim?.warning) log.warn({ warning: claim.warning }, "the control plane warns");
      if (!claim) await rest(options, Math.min(paceMs, options.waitMs) - (clock.monotonic() - askedAt));
      return claim;
    } catch (error) {
      if (signal.aborted) return undefined;
      const retryAfterMs = error instanceof ApiFailure ? error.retryAfterMs : undefined;
      log.warn({ failures: failures + 1, ...errorFacts(error) }, "claiming failed, trying again");
      await rest(options, Math.max(retryPauseMs(failures, retryAfterMs, options.random), paceAfter(error)));
    }
  }
  return undefined;
}

/** What will not pass by itself (a wrong token, say) is asked about slowly. */
function paceAfter(error: unknown): number {
  return error instanceof ApiFailure && !error.retryable ? 5_000 : 0;
}

async function rest(options: ClaimLoopOptions, ms: number): Promise<void> {
  if (ms > 0) await options.clock.sleep(ms, options.signal).catch(() => undefined);
}
