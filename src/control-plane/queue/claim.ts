import type { Secret } from "../../lib/secret.ts";
import type { ClaimRequest } from "../../protocol/agent-api.ts";
import type { Task } from "../../protocol/task.ts";
import { newToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { Listener } from "../notifier.ts";
import { applyEvent } from "../pipelines/apply.ts";
import { insertTaskToken } from "../store/access.ts";
import { imagePins } from "../store/image-pins.ts";
import { findJob } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import type { Db, Unit } from "../store/store.ts";
import { findTask, takeOldestQueued, taskOfClaim, updateTask } from "../store/tasks.ts";
import { pinClasses } from "../tasks/image-pins.ts";
import { makeTask, TaskTemplate } from "../tasks/template.ts";
import { topics } from "../topics.ts";
import type { QueueWaiters } from "./queue.ts";
import { expectSession, showLife } from "./sessions.ts";

export interface Claimed {
  task: Task;
  /** The class that it was queued for. */
  queue: string;
  token: Secret;
  /** How long the attempt was in the queue, by this side's clocks; undefined where that was not written down. */
  waitedMs: number | undefined;
}

export interface ClaimOptions {
  /** The classes, whose tasks are in the queues of their names. */
  queues: readonly string[];
  request: ClaimRequest;
  /** Aborts when the caller has gone. */
  signal: AbortSignal;
  /** Throws where the caller may have no task any more. */
  authorize: (db: Db) => Promise<void>;
}

/** The task that has waited longest, once there is one; undefined when there was none within the time that the caller gives. */
export async function claim(
  context: Context,
  waiters: QueueWaiters,
  options: ClaimOptions,
): Promise<Claimed | undefined> {
  const { name, session, wait_ms: waitMs } = options.request;
  using stack = new DisposableStack();
  const questions = options.queues.map((queue) => stack.use(context.notifier.listen(topics.agent(queue, name))));
  for (const queue of options.queues) await showLife(context, { queue, name }, session);
  const first = await tryClaim(context, options);
  if (first || waitMs === 0) return first;
  using wait = new Wait(context, waitMs, options.signal);
  for (const question of questions) wait.endAt(question);
  const { signal } = wait;
  for (;;) {
    const worthLooking = await waiters.wait(options.queues, signal);
    if (!worthLooking) return undefined;
    if (options.signal.aborted) {
      // It was meant for somebody who has gone: the next one gets it.
      for (const queue of options.queues) waiters.wake(queue);
      return undefined;
    }
    const claimed = await tryClaimOrPassOn(context, waiters, options);
    if (claimed) return claimed;
  }
}

/** What this one was woken for and may not have, is for the next one. */
async function tryClaimOrPassOn(
  context: Context,
  waiters: QueueWaiters,
  options: ClaimOptions,
): Promise<Claimed | undefined> {
  try {
    return await tryClaim(context, options);
  } catch (error) {
    for (const queue of options.queues) waiters.wake(queue);
    throw error;
  }
}

/** A signal that aborts when the time is up, the caller has gone or is to call again, or the control plane closes. */
class Wait implements Disposable {
  readonly #waitMs: number;
  readonly #over = new AbortController();
  readonly signal: AbortSignal;

  constructor(context: Pick<Context, "clock" | "closing">, waitMs: number, caller: AbortSignal) {
    this.#waitMs = waitMs;
    this.signal = AbortSignal.any([caller, context.closing, this.#over.signal]);
    const end = (): void => this.#over.abort();
    context.clock.sleep(waitMs, this.signal).then(end, end);
  }

  endAt(question: Listener): void {
    const end = (): void => this.#over.abort();
    question.wait({ timeoutMs: this.#waitMs, signal: this.signal }).then(end, end);
  }

  [Symbol.dispose](): void {
    this.#over.abort();
  }
}

async function tryClaim(context: Context, { queues, request, authorize }: ClaimOptions): Promise<Claimed | undefined> {
  return await context.store.transaction(async (unit) => {
    await authorize(unit.db);
    for (const queue of queues) await expectSession(unit, { queue, name: request.name }, request.session);
    const session = request.session ?? null;
    const again = await repeatedClaim(unit, queues, request);
    if (again) return await handOut(unit, again, session);
    if (request.repeat_only) return undefined;
    const task = await takeOldestQueued(unit, queues);
    if (!task) return undefined;
    const event = { type: "claimed", task: task.id, attempt: task.attempt, agent: request.name } as const;
    await applyEvent(context, unit, task.pipeline_id, event);
    const claimedMs = context.clock.now();
    await updateTask(unit.db, task.id, {
      agent: request.name,
      claim_id: request.claim_id ?? null,
      claimed_ms: claimedMs,
      session,
      lease_expires_ms: claimedMs + context.leaseMs,
    });
    return await handOut(unit, { ...task, claimed_ms: claimedMs }, session);
  });
}

async function repeatedClaim(
  unit: Unit,
  queues: readonly string[],
  request: ClaimRequest,
): Promise<Row<"task"> | undefined> {
  if (request.claim_id === undefined) return undefined;
  // The first answer may still be on its way, from another process.
  for (const queue of queues.toSorted()) await unit.lock(topics.agent(queue, request.name));
  return await taskOfClaim(unit.db, { queues, agent: request.name, claimId: request.claim_id });
}

/** With a token of its own for each answer: they are kept hashed, so that an earlier one cannot be said again. */
export async function handOut(unit: Unit, row: Row<"task">, session: string | null): Promise<Claimed | undefined> {
  const { id, attempt, queue } = row;
  const task = await taskDocument(unit, id);
  if (!task) return undefined;
  const { token, hash } = newToken();
  await insertTaskToken(unit.db, { hash, task_id: id, attempt, session });
  return { task, token, queue, waitedMs: queueWaitMs(row, row.claimed_ms) };
}

/** How long a task had been in the queue by then. Several processes have several clocks. */
export function queueWaitMs(
  { queued_ms: queuedMs }: Pick<Row<"task">, "queued_ms">,
  untilMs: number | null,
): number | undefined {
  return queuedMs === null || untilMs === null ? undefined : Math.max(0, untilMs - queuedMs);
}

/** What an agent has to know of a task; undefined when there is no such task. */
export async function taskDocument(unit: Pick<Unit, "db">, taskId: string): Promise<Task | undefined> {
  const row = await findTask(unit.db, taskId);
  const job = row && (await findJob(unit.db, row.job_id));
  if (!row || !job?.template_json) return undefined;
  const template = TaskTemplate.parse(JSON.parse(job.template_json));
  const task = makeTask(template, row.id, { attempt: row.attempt, nodeIndex: row.node_index });
  const { follows } = pinClasses(row.queue, template.container);
  const pins = await imagePins(unit.db, { pipelineId: row.pipeline_id, classes: follows });
  return Object.keys(pins).length === 0 ? task : { ...task, imagePins: pins };
}
