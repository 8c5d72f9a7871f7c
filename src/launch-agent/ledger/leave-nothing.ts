import { type Engine, isEngineError } from "../../engine/engine.ts";
import { label } from "../plan/labels.ts";

/**
 * Removes what the agents of an engine have together, the volume of the task agent, when the last of them goes. Where another agent
 * still has containers it stays. One that is idle makes it anew for its next task.
 */
export async function leaveNothing(engine: Engine, signal: AbortSignal): Promise<void> {
  const shared = await engine.list({ [label.role]: "shared" }, signal);
  const workers = await Promise.all(
    (["task", "service", "pool", "sandbox"] as const).map((role) => engine.list({ [label.role]: role }, signal)),
  );
  if (workers.flat().length > 0) return;
  // The container that says that the volume is whole goes before it: it has it mounted.
  for (const object of shared.toSorted((a, b) => Number(a.kind === "volume") - Number(b.kind === "volume"))) {
    try {
      await engine.removeObject(object, signal);
    } catch (error) {
      // Somebody has begun to use it meanwhile, and finds out by himself that its sign is gone.
      if (!isEngineError(error, "conflict")) throw error;
    }
  }
}
