import { retryPauseMs } from "../api/retry.ts";
import { errorFacts } from "../log.ts";
import type { TaskContext } from "./context.ts";

/** Removes what a task made, with a signal of its own. What the engine will not remove now is the ledger's work. */
export async function removeContainers(names: readonly string[], context: TaskContext): Promise<void> {
  const { clock, limits } = context;
  const deadline = clock.monotonic() + limits.cleanUpMs;
  await Promise.all(names.map((name) => removeOne(name, deadline, context)));
}

async function removeOne(name: string, deadline: number, context: TaskContext): Promise<void> {
  const { engine, clock, random, log } = context;
  const signal = new AbortController().signal;
  for (let failures = 0; ; failures++) {
    try {
      return await engine.remove(name, signal);
    } catch (error) {
      const pauseMs = retryPauseMs(failures, undefined, random);
      if (clock.monotonic() + pauseMs > deadline) {
        context.leftovers.add(name);
        log.error({ container: name, ...errorFacts(error) }, "a container could not be removed; the next sweep will");
        return;
      }
      await clock.sleep(pauseMs);
    }
  }
}
