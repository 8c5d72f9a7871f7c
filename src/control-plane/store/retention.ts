import type { Db } from "./store.ts";

/** Ended pipelines but for the newest `keep` of all, oldest first; with Infinity none. */
export async function endedPipelinesBeyond(db: Db, keep: number): Promise<{ id: string; number: number }[]> {
  if (keep === Number.POSITIVE_INFINITY) return [];
  const newest = db.selectFrom("pipeline").select("number").orderBy("number", "desc");
  return await db
    .selectFrom("pipeline")
    .select(["id", "number"])
    .where("ended_ms", "is not", null)
    // Of the first one beyond; there is none where there are not so many.
    .where("number", "<=", newest.offset(keep).limit(1))
    .orderBy("number")
    .execute();
}

/** The oldest events of a pipeline are gone then; false when there was none. */
export async function deleteEvents(db: Db, pipelineId: string, count: number): Promise<boolean> {
  const oldest = db.selectFrom("event").select("seq").where("pipeline_id", "=", pipelineId).orderBy("seq").limit(count);
  const { numDeletedRows } = await db
    .deleteFrom("event")
    .where("pipeline_id", "=", pipelineId)
    .where("seq", "in", oldest)
    .executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

/** Keys of what its tasks stored, but for artifacts, which lie in a folder of their own. */
export async function blobsOfPipeline(db: Db, pipelineId: string): Promise<string[]> {
  const layers = await db
    .selectFrom("workspace_layer")
    .innerJoin("job", "job.id", "workspace_layer.job_id")
    .select("workspace_layer.blob")
    .where("job.pipeline_id", "=", pipelineId)
    .execute();
  const results = await db
    .selectFrom("test_results")
    .innerJoin("task", "task.id", "test_results.task_id")
    .select("test_results.blob")
    .where("task.pipeline_id", "=", pipelineId)
    .execute();
  return [...layers, ...results].map(({ blob }) => blob);
}

/** With all rows that belong to it. */
export async function deletePipeline(db: Db, id: string): Promise<void> {
  await db.deleteFrom("pipeline").where("id", "=", id).execute();
}

export interface StoredArchive {
  kind: "cache" | "workspace_layer";
  id: string;
  blob: string;
  sizeBytes: number;
  createdMs: number;
  /** A pipeline that still runs may need it. */
  inUse: boolean;
}

/** Caches and workspace layers, oldest first. */
export async function storedArchives(db: Db): Promise<StoredArchive[]> {
  const caches = await db
    .selectFrom("cache")
    .select(["id", "blob", "size_bytes as sizeBytes", "created_ms as createdMs"])
    .execute();
  const layers = await db
    .selectFrom("workspace_layer")
    .innerJoin("job", "job.id", "workspace_layer.job_id")
    .innerJoin("pipeline", "pipeline.id", "job.pipeline_id")
    .select(["workspace_layer.id", "workspace_layer.blob", "workspace_layer.size_bytes as sizeBytes"])
    .select(["pipeline.created_ms as createdMs", "pipeline.ended_ms as endedMs"])
    .execute();
  return [
    ...caches.map((cache) => ({ ...cache, kind: "cache" as const, inUse: false })),
    ...layers.map(({ endedMs, ...layer }) => ({ ...layer, kind: "workspace_layer" as const, inUse: endedMs === null })),
  ].toSorted((a, b) => a.createdMs - b.createdMs);
}

export async function deleteArchive(db: Db, { kind, id }: Pick<StoredArchive, "kind" | "id">): Promise<void> {
  await db.deleteFrom(kind).where("id", "=", id).execute();
}
