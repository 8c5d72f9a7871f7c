import type { Context } from "../context.ts";
import { keysWaitedFor } from "../store/locks.ts";
import { settleLocks } from "./apply.ts";
import { lockWaitMs } from "./locks.ts";

const intervalMs = 30_000;

/** Ends the wait of those who have waited too long for a lock, until the signal aborts. */
export async function expireLockWaits(context: Context, signal: AbortSignal): Promise<void> {
  for (;;) {
    await context.clock.sleep(intervalMs, signal);
    const keys = await keysWaitedFor(context.store.db, context.clock.now() - lockWaitMs);
    if (keys.length > 0) await context.store.transaction((unit) => settleLocks(context, unit, new Set(keys)));
  }
}
