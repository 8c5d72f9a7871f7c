import type { Context } from "../context.ts";
import { queuesWithTasks } from "../store/tasks.ts";
import { topics } from "../topics.ts";
import { passQuestionsOn } from "./sessions.ts";

/** How often the store is asked for tasks that another process queued. One query for all who wait. */
const lookIntervalMs = 500;

/**
 * Who waits for a task, in the order in which they came. A queued task wakes the one who has waited longest, so that
 * thousands of idle agents cost nothing.
 */
export class QueueWaiters {
  readonly #waiters = new Map<string, Waiter[]>();

  /** Wakes as many as there may be tasks for: `count` at most. */
  wake(queue: string, count = 1): void {
    const waiters = this.#waiters.get(queue);
    for (const waiter of waiters?.splice(0, count) ?? []) waiter.wake();
    if (waiters?.length === 0) this.#waiters.delete(queue);
  }

  get queues(): string[] {
    return [...this.#waiters.keys()];
  }

  /** Resolves true when it is worth to look again in one of the queues, false when the signal aborted. */
  wait(queues: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    if (signal.aborted) return Promise.resolve(false);
    const end = (woken: boolean): void => {
      signal.removeEventListener("abort", giveUp);
      for (const queue of queues) this.#remove(queue, waiter);
      resolve(woken);
    };
    const giveUp = (): void => end(false);
    const waiter: Waiter = { wake: () => end(true) };
    signal.addEventListener("abort", giveUp, { once: true });
    for (const queue of queues) {
      const waiters = this.#waiters.get(queue) ?? [];
      this.#waiters.set(queue, waiters);
      waiters.push(waiter);
    }
    return promise;
  }

  #remove(queue: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(queue);
    const index = waiters?.indexOf(waiter) ?? -1;
    if (index >= 0) waiters?.splice(index, 1);
    if (waiters?.length === 0) this.#waiters.delete(queue);
  }
}

interface Waiter {
  wake: () => void;
}

/** Looks for tasks that other processes queued, and questions that they asked, until the signal aborts. */
export async function watchForForeignNews(
  context: Pick<Context, "store" | "clock" | "notifier">,
  waiters: QueueWaiters,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await context.clock.sleep(lookIntervalMs, signal);
    await passQuestionsOn(context);
    if (waiters.queues.length === 0) continue;
    for (const queue of await queuesWithTasks(context.store.db, waiters.queues)) waiters.wake(queue);
  }
}

/** The queue's name of a topic that was told; undefined for other topics. */
export function queueOfTopic(topic: string): string | undefined {
  const prefix = topics.queue("");
  return topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined;
}
