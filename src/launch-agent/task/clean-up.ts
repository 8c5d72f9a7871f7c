import { retryPauseMs } from "../api/retry.ts";
import { errorFacts } from "../log.ts";
import type { Ground } from "./ground.ts";

/** Removes what a task made, with a signal of its own. What the engine will not remove now is the ledger's work. */
export async function removeContainers(names: readonly string[], context: Ground): Promise<void> {
  if (names.length === 0) return;
  const { clock, limits, hurry } = context;
  const patience = new AbortController();
  const removed = new AbortController();
  const giveUpAfter = (ms: number) => {
    clock.sleep(ms, removed.signal).then(
      () => patience.abort(new Error("not removed in time")),
      () => undefined,
    );
  };
  const onHurry = () => giveUpAfter(limits.hurriedCleanUpMs);
  giveUpAfter(limits.cleanUpMs);
  if (hurry.aborted) onHurry();
  else hurry.addEventListener("abort", onHurry, { once: true });
  await Promise.all(names.map((name) => removeOne(name, context, patience.signal)));
  hurry.removeEventListener("abort", onHurry);
  removed.abort();
}

async function removeOne(name: string, context: Ground, patience: AbortSignal): Promise<void> {
  const { engine, clock, random, log, leftovers } = context;
  for (let failures = 0; ; failures++) {
    try {
      return await engine.remove(name, patience);
    } catch (error) {
      await clock.sleep(retryPauseMs(failures, undefined, random), patience).catch(() => undefined);
      if (!patience.aborted) continue;
      leftovers.add(name);
      log.error({ container: name, ...errorFacts(error) }, "a container could not be removed; the next sweep will");
      return;
    }
  }
}
