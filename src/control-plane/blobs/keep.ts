import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import { expectHolder } from "../queue/holder.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import type { StoredBlob } from "./blob-store.ts";

export interface Upload {
  key: string;
  content: Readable;
  signal: AbortSignal;
}

/**
 * Stores a task's bytes and then, in one transaction, the rows that say so. An upload may take long: whose attempt has lost its task until
 * its end leaves nothing behind. Throws ControlPlaneError `stale-attempt` then.
 */
export async function keepBlob<T>(
  context: Context,
  task: Row<"task">,
  { key, content, signal }: Upload,
  record: (unit: Unit, stored: StoredBlob) => Promise<T>,
): Promise<T> {
  const stored = await context.blobs.put(key, content, { signal });
  try {
    return await context.store.transaction(async (unit) => {
      await expectHolder(unit, task);
      return await record(unit, stored);
    });
  } catch (error) {
    await context.blobs.remove(stored.key).catch(() => undefined);
    throw error;
  }
}
