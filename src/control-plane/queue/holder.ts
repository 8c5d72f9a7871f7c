import { notHeld, taskIsOver } from "../auth/tokens.ts";
import { isTaskEnd } from "../pipelines/status.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { lockTask } from "../store/tasks.ts";

/** Whether the row is still of the attempt, and of the process, that `then` was of. */
export function isSameHolder(now: Row<"task"> | undefined, then: Row<"task">): now is Row<"task"> {
  return now?.attempt === then.attempt && now.session === then.session;
}

/**
 * Whoever writes something down for an attempt asks this in the transaction that writes it: what began before the task was taken away may end after.
 * Throws ControlPlaneError: `stale-attempt`, `adopted`, or `unauthorized` when the task has ended.
 */
export async function expectHolder(unit: Unit, then: Row<"task">): Promise<void> {
  const now = await lockTask(unit, then);
  if (!isSameHolder(now, then) || now.fenced === 1 || now.status === "queued") throw notHeld(now, then);
  if (isTaskEnd(now.status)) throw taskIsOver(then.id);
}
