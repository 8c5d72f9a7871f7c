import type { AdoptRequest } from "../../protocol/agent-api.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { openLaunchSteps } from "../store/events.ts";
import { ackedOf, findTask, lockTask, updateTask } from "../store/tasks.ts";
import { type Claimed, handOut } from "./claim.ts";
import { expectSession } from "./sessions.ts";

export interface Adopted extends Claimed {
  begun: boolean;
  acked: { launch: number; task: number };
  openSteps: { step: number; bytes: number }[];
}

/**
 * Hands a running attempt over from an earlier process of an agent to its present one: what the earlier one sends is stale from
 * now on. Safe to repeat. Throws ControlPlaneError: `name-taken`, or `not-found` when the attempt is over or another agent's.
 */
export async function adopt(context: Context, queue: string, request: AdoptRequest): Promise<Adopted> {
  const { name, session, task_id: taskId, attempt } = request;
  return await context.store.transaction(async (unit) => {
    await expectSession(unit, { queue, name }, session);
    const found = await findTask(unit.db, taskId);
    const task = found && (await lockTask(unit, found));
    const isTheirs = task?.queue === queue && task.agent === name && task.attempt === attempt;
    if (!isTheirs || task.status !== "running" || task.fenced === 1)
      throw new ControlPlaneError("not-found", `attempt ${attempt} of task ${taskId} is not running here: end it`);
    await updateTask(unit.db, taskId, { session, lease_expires_ms: context.clock.now() + context.leaseMs });
    const claimed = await handOut(unit, task, session);
    if (!claimed) throw new ControlPlaneError("not-found", `there is no task ${taskId}`);
    const acked = async (lane: "launch" | "task") => await ackedOf(unit.db, { taskId, attempt, lane });
    return {
      ...claimed,
      begun: task.begun === 1,
      acked: { launch: await acked("launch"), task: await acked("task") },
      openSteps: await openLaunchSteps(unit.db, { taskId, attempt }),
    };
  });
}
