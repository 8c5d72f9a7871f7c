import type { Context } from "../context.ts";
import { applyEvent } from "../pipelines/apply.ts";
import { deleteResourceClass } from "../store/access.ts";
import { openPipelinesOfQueue, runningTasksOf } from "../store/tasks.ts";

/**
 * The queue's agents are gone for good: whatever of it has not ended is cancelled, without an agent's word, and the class goes
 * with its tokens. Idempotent.
 */
export async function retireClass(context: Context, name: string, reason: string): Promise<void> {
  for (const pipelineId of await openPipelinesOfQueue(context.store.db, name))
    await context.store.transaction(async (unit) => {
      await applyEvent(context, unit, pipelineId, { type: "cancel", reason });
      for (const { id, attempt } of await runningTasksOf(unit.db, { pipelineId, queue: name }))
        await applyEvent(context, unit, pipelineId, {
          type: "task-lost",
          task: id,
          attempt,
          begun: true,
          message: reason,
        });
    });
  await context.store.transaction((unit) => deleteResourceClass(unit.db, name));
}
