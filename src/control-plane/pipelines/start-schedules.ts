import type { FastifyBaseLogger } from "fastify";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { claimOccurrence, type DueSchedule, dueSchedules } from "../store/schedules.ts";
import { planAndWritePipeline } from "./create.ts";
import { scheduledPipeline } from "./remember-schedules.ts";
import { nextOccurrence } from "./schedule.ts";

const intervalMs = 1_000;
/** An occurrence is a minute: once it is over, the occurrence was missed, and nobody makes up for it. */
const occurrenceMs = 60_000;

type Log = Pick<FastifyBaseLogger, "error" | "warn">;

/** Starts scheduled workflows when it is their time, until the signal aborts. */
export async function startSchedules(context: Context, signal: AbortSignal, log: Log): Promise<void> {
  for (;;) {
    await context.clock.sleep(intervalMs, signal);
    const nowMs = context.clock.now();
    for (const due of await dueSchedules(context.store.db, nowMs)) {
      if (signal.aborted) return;
      await startOrMiss(context, { due, nowMs, log });
    }
  }
}

interface Look {
  due: DueSchedule;
  nowMs: number;
  log: Log;
}

/** One that cannot be started does not hold up the others. */
async function startOrMiss(context: Context, { due, nowMs, log }: Look): Promise<void> {
  const { project, branch, workflow, cron, due_ms } = due;
  const named = { project, branch, workflow, cron, dueMs: due_ms };
  try {
    if (nowMs - due_ms < occurrenceMs) return await take(context, { due, nowMs, starts: true });
    await take(context, { due, nowMs, starts: false });
    log.warn(named, "an occurrence of a schedule was missed: nothing ran at its time");
  } catch (err) {
    log.error({ err, ...named }, "a scheduled workflow could not be started");
    // All else may work at the next look.
    if (err instanceof ControlPlaneError) await take(context, { due, nowMs, starts: false });
  }
}

/** The claim and the pipeline are one transaction: whoever dies in between has done neither. */
async function take(
  context: Context,
  { due, nowMs, starts }: { due: DueSchedule; nowMs: number; starts: boolean },
): Promise<void> {
  const nextMs = nextOccurrence(due, nowMs);
  await context.store.transaction(async (unit) => {
    const schedule = await claimOccurrence(unit.db, due, nextMs);
    if (schedule && starts) await planAndWritePipeline(context, unit, scheduledPipeline(schedule));
  });
}
