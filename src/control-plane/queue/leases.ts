import { notHeld } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { applyEvent } from "../pipelines/apply.ts";
import { maxAttempts } from "../pipelines/state.ts";
import { isTaskEnd } from "../pipelines/status.ts";
import { type Attempt, closeOpenSteps } from "../store/events.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { findTask, lockTask, renewLease, setLeases, tasksOutOfLease, updateTask } from "../store/tasks.ts";
import { topics } from "../topics.ts";
import { isSameHolder } from "./holder.ts";

/** How long an agent holds a task without a word, where nobody says otherwise. */
export const defaultLeaseMs = 30_000;
const expiryIntervalMs = 2_000;
/** More than a busy process is late. */
const unseenMs = 10_000;

/** Gives every running task a whole lease, and none more than that: while the control plane was down, nobody could renew one. */
export async function refreshLeases(context: Pick<Context, "store" | "clock" | "leaseMs">): Promise<void> {
  await context.store.transaction((unit) => setLeases(unit.db, context.clock.now() + context.leaseMs));
}

/** Takes tasks away from agents that are not heard of any more, until the signal aborts. */
export async function expireLeases(context: Context, signal: AbortSignal): Promise<void> {
  const { clock } = context;
  let lookedMs = clock.now();
  for (;;) {
    await clock.sleep(expiryIntervalMs, signal);
    const passedMs = clock.now() - lookedMs;
    lookedMs += passedMs;
    // A clock that is set says nothing of agents; and while this machine sleeps, or the process is stopped, none can be heard.
    const hasJumped = passedMs < 0 || passedMs > expiryIntervalMs + unseenMs;
    await (hasJumped ? refreshLeases(context) : expireLeasesOnce(context));
  }
}

async function expireLeasesOnce(context: Context): Promise<void> {
  for (const late of await tasksOutOfLease(context.store.db, context.clock.now()))
    await context.store.transaction((unit) => expireLease(context, unit, late));
}

async function expireLease(context: Context, unit: Unit, late: Row<"task">): Promise<void> {
  const task = await lockTask(unit, late);
  const now = context.clock.now();
  // Another process may have been first, or the agent has spoken up meanwhile.
  if (task?.status !== "running" || task.attempt !== late.attempt || (task.lease_expires_ms ?? now) >= now) return;
  await takeAway(context, unit, {
    task,
    message: `the agent ${task.agent ?? ""} has not been heard of for ${context.leaseMs / 1000} s`,
  });
}

/** Ends the running attempt for its agent: queued again where nothing had begun or its class wants that, else over. Whatever it still sends is refused. */
async function takeAway(
  context: Context,
  unit: Unit,
  { task, message }: { task: Row<"task">; message: string },
): Promise<{ queuedAgain: boolean }> {
  await closeOpenSteps(unit, attemptOf(task), { atMs: context.clock.now() });
  await applyEvent(context, unit, task.pipeline_id, { type: "task-lost", ...tryOf(task), message });
  const after = await findTask(unit.db, task.id);
  if (after?.status === "queued") return { queuedAgain: true };
  if (after && isTaskEnd(after.status)) await updateTask(unit.db, task.id, { fenced: 1 });
  return { queuedAgain: false };
}

/** What the scheduler has to know of a try that did not come to its end. */
function tryOf(task: Row<"task">) {
  const { id, attempt, begun, unsafe_retries } = task;
  return { task: id, attempt, begun: begun === 1, unsafeRetries: unsafe_retries === 1 };
}

function attemptOf(task: Row<"task">): Attempt {
  return { pipelineId: task.pipeline_id, jobId: task.job_id, taskId: task.id, attempt: task.attempt };
}

/** An agent gives its task back. Throws ControlPlaneError: `not-found` when it is over, `no-more-attempts` when that was its last try. */
export async function unclaim(context: Context, task: Row<"task">, reason: string): Promise<void> {
  const final = await context.store.transaction(async (unit) => {
    const now = await lockTask(unit, task);
    if (!isSameHolder(now, task) || now.status !== "running")
      throw new ControlPlaneError("not-found", `task ${task.id} is over: there is nothing to give back`);
    const { queuedAgain } = await takeAway(context, unit, { task: now, message: reason });
    return now.cancel_reason === null && !queuedAgain ? now : undefined;
  });
  if (final)
    throw new ControlPlaneError(
      "no-more-attempts",
      final.begun === 1 && final.unsafe_retries === 0
        ? `steps of task ${task.id} had begun, so that it is not run again: it ended as infrastructure_fail`
        : `task ${task.id} has been tried ${maxAttempts} times: it ended as infrastructure_fail`,
    );
}

/** An agent says that it cannot go on with its task. */
export async function failTask(context: Context, task: Row<"task">, message: string): Promise<void> {
  await context.store.transaction(async (unit) => {
    const now = await lockTask(unit, task);
    if (!isSameHolder(now, task)) throw notHeld(now, task);
    await closeOpenSteps(unit, attemptOf(now), { atMs: context.clock.now() });
    const event = { type: "task-ended", ...tryOf(now), status: "infrastructure_fail", message } as const;
    await applyEvent(context, unit, now.pipeline_id, event);
  });
}

/**
 * Renews the lease, and answers why the task is to end; null: it goes on. Holds the call up to `waitMs` for such news.
 * Throws ControlPlaneError `stale-attempt` when the task was taken away meanwhile.
 */
export async function heartbeat(
  context: Context,
  task: Row<"task">,
  options: { waitMs: number; signal: AbortSignal },
): Promise<{ reason: string } | null> {
  await renew(context, task);
  const until = context.clock.monotonic() + options.waitMs;
  using news = context.notifier.listen(topics.task(task.id));
  using question = context.notifier.listen(topics.agent(task.queue, task.agent ?? ""));
  const ending = AbortSignal.any([options.signal, context.closing]);
  const asked = new AbortController();
  question.wait({ timeoutMs: options.waitMs, signal: ending }).then(
    () => asked.abort(),
    () => undefined,
  );
  const signal = AbortSignal.any([ending, asked.signal]);
  for (;;) {
    const now = await findTask(context.store.db, task.id);
    if (!isSameHolder(now, task) || now.fenced === 1 || now.status === "queued") throw notHeld(now, task);
    if (now.cancel_reason !== null) return { reason: now.cancel_reason };
    const leftMs = until - context.clock.monotonic();
    // The next call is the sign of life, not this one, which may be held for somebody who is dead.
    if (options.signal.aborted || (asked.signal.aborted && leftMs > 0)) return null;
    if (leftMs <= 0 || signal.aborted || now.status !== "running") {
      // The lease lasts from the answer on: the call itself may have taken as long as one.
      await renew(context, task);
      return null;
    }
    await quietly(news.wait({ timeoutMs: Math.min(leftMs, foreignNewsMs), signal }), signal);
  }
}

async function renew(context: Context, task: Row<"task">): Promise<void> {
  await context.store.transaction(async (unit) => {
    // Nobody takes the task away in the same moment.
    await unit.lock(topics.pipeline(task.pipeline_id));
    await renewLease(unit.db, task, context.clock.now() + context.leaseMs);
  });
}

/** How late news of another process may be. */
const foreignNewsMs = 1_000;

/** An abort only ends the wait. */
async function quietly(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await wait;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
