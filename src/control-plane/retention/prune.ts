import type { Context } from "../context.ts";
import type { Retention } from "../control-plane.ts";
import {
  blobsOfPipeline,
  deleteArchive,
  deleteEvents,
  deletePipeline,
  endedPipelinesBeyond,
  storedArchives,
} from "../store/retention.ts";
import { topics } from "../topics.ts";
import { archivesToRemove } from "./archives.ts";

/** So few that other writers, and this process, wait for milliseconds only. */
const eventsAtOnce = 100;
const intervalMs = 60 * 60_000;
/** No upload writes nothing for so long. */
const abandonedAfterMs = 24 * 60 * 60_000;

/**
 * Removes what is over the limits, in small bites: stopped by the signal at any point, it goes on from there the next time.
 * Rows go before their bytes, so that nobody is led to bytes that are gone; nothing of a pipeline that has not ended goes.
 */
export async function prune(context: Context, retention: Retention, signal: AbortSignal): Promise<void> {
  for (const pipeline of await endedPipelinesBeyond(context.store.db, retention.keepPipelines)) {
    if (signal.aborted) return;
    await removePipeline(context, pipeline, signal);
  }
  await context.blobs.removeAbandoned(context.clock.now() - abandonedAfterMs);
  const archives = await storedArchives(context.store.db);
  for (const archive of archivesToRemove(archives, { ...retention, nowMs: context.clock.now() })) {
    if (signal.aborted) return;
    await context.store.transaction((unit) => deleteArchive(unit.db, archive));
    await context.blobs.remove(archive.blob);
  }
}

/** Prunes at once, and then once an hour, until the signal aborts. Rejects with its reason, or when the store cannot be used. */
export async function pruneNowAndThen(context: Context, retention: Retention, signal: AbortSignal): Promise<void> {
  for (;;) {
    await prune(context, retention, signal);
    await context.clock.sleep(intervalMs, signal);
  }
}

async function removePipeline(
  context: Context,
  { id, number }: { id: string; number: number },
  signal: AbortSignal,
): Promise<void> {
  const { store, blobs, clock } = context;
  while (await store.transaction((unit) => deleteEvents(unit.db, id, eventsAtOnce))) {
    if (signal.aborted) return;
    // Whoever else has something to do comes first.
    await clock.sleep(0);
  }
  const keys = await store.transaction(async (unit) => {
    await unit.lock(topics.pipeline(id));
    const keysOfPipeline = await blobsOfPipeline(unit.db, id);
    await deletePipeline(unit.db, id);
    return keysOfPipeline;
  });
  for (const key of keys) await blobs.remove(key);
  await blobs.removeBelow(`artifacts/${number}`);
}
