import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import { findPipeline } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import type { Db } from "../store/store.ts";
import { deleteCache, findCache, findCacheByPrefix, insertCache } from "../store/stored.ts";
import { keepBlob } from "./keep.ts";

/** Caches belong to the task's project. A key is written once; a key to restore is a prefix, and the newest match wins. */

export interface FoundCache {
  key: string;
  sizeBytes: number;
  content: Readable;
}

/** The newest cache whose key begins with the first of `prefixes` that matches anything. */
export async function restoreCache(
  context: Context,
  task: Row<"task">,
  prefixes: readonly string[],
): Promise<FoundCache | undefined> {
  const project = await projectOf(context.store.db, task);
  for (const prefix of prefixes) {
    for (;;) {
      const row = await findCacheByPrefix(context.store.db, project, prefix);
      if (!row) break;
      const content = await openCache(context, row);
      if (content) return { key: row.key, sizeBytes: row.size_bytes, content };
      // Its bytes are gone or not its own: as if it had never been. The next newest may do.
      await forget(context, row);
    }
  }
  return undefined;
}

export async function hasCache(context: Context, task: Row<"task">, key: string): Promise<boolean> {
  const project = await projectOf(context.store.db, task);
  return (await findCache(context.store.db, project, key)) !== undefined;
}

/** False when the key was taken. */
export async function saveCache(
  context: Context,
  task: Row<"task">,
  save: { key: string; content: Readable; signal: AbortSignal },
): Promise<boolean> {
  const project = await projectOf(context.store.db, task);
  const id = context.newId();
  const blob = `caches/${id}`;
  const isFirst = await keepBlob(context, task, { ...save, key: blob }, async (unit, stored) => {
    const { sizeBytes: size_bytes, sha256 } = stored;
    const row = { id, project, key: save.key, created_ms: context.clock.now(), blob, size_bytes, sha256 };
    return await insertCache(unit.db, row);
  });
  if (!isFirst) await context.blobs.remove(blob);
  return isFirst;
}

async function openCache(context: Context, row: Row<"cache">): Promise<Readable | undefined> {
  const blob = { key: row.blob, sizeBytes: row.size_bytes, sha256: row.sha256 };
  return await context.blobs.open(blob, () => void forget(context, row).catch(() => undefined));
}

async function forget(context: Context, row: Row<"cache">): Promise<void> {
  await context.store.transaction((unit) => deleteCache(unit.db, row.id));
  await context.blobs.remove(row.blob);
}

async function projectOf(db: Db, task: Row<"task">): Promise<string> {
  return (await findPipeline(db, task.pipeline_id))?.project ?? "";
}
