import type { Clock } from "../lib/clock.ts";
import type { Claim } from "./api/client.ts";
import type { ConnectionState } from "./claim/connection-state.ts";
import type { Log } from "./log.ts";

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

const defaultPatience = { refusedAtStartMs: 60_000, refusedLaterMs: 600_000 };

export interface ModeOptions {
  modes: Modes;
  clock: Clock;
  log: Log;
}

/** Calls `end` once nothing has run for as long as the agent may be idle, unless the signal fires first. Never rejects. */
export async function endWhenIdle(
  { modes, clock, log }: ModeOptions,
  agent: { busy: () => boolean; lastBusyMs: () => number; end: () => void; signal: AbortSignal },
): Promise<void> {
  const { idleTimeoutMs } = modes;
  if (idleTimeoutMs === undefined) return;
  const leftMs = () => (agent.busy() ? idleTimeoutMs : agent.lastBusyMs() + idleTimeoutMs - clock.monotonic());
  try {
    for (let ms = leftMs(); ms > 0; ms = leftMs()) await clock.sleep(ms, agent.signal);
  } catch {
    return;
  }
  log.info({ idleTimeoutMs }, "no task for as long as it may be idle: ending");
  agent.end();
}

/** Calls `cancel` once draining has taken longer than a task may, unless the signal fires first. Never rejects. */
export async function boundDraining(
  { modes, clock, log }: ModeOptions,
  agent: { cancel: () => void; signal: AbortSignal },
): Promise<void> {
  const { maxRunTimeMs } = modes;
  if (maxRunTimeMs === undefined) return;
  try {
    await clock.sleep(maxRunTimeMs, agent.signal);
  } catch {
    return;
  }
  log.warn({ maxRunTimeMs }, "draining takes longer than a task may: cancelling what runs");
  agent.cancel();
}

/** Whether all tokens have been refused for longer than a mishap lasts. */
export function isRefusedForGood(connection: ConnectionState, modes: Modes): boolean {
  const { refusedAtStartMs, refusedLaterMs } = { ...defaultPatience, ...modes };
  const { refusedMs, everReached } = connection;
  return refusedMs > 0 && refusedMs >= (everReached ? refusedLaterMs : refusedAtStartMs);
}

/** With no more time than the agent gives any task. */
export function boundedClaim(claim: Claim, { maxRunTimeMs }: Modes): Claim {
  const { task } = claim;
  if (maxRunTimeMs === undefined || task.work.maxRunTimeMs <= maxRunTimeMs) return claim;
  return { ...claim, task: { ...task, work: { ...task.work, maxRunTimeMs } } };
}
