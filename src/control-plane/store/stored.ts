import { nextNumbers } from "./counters.ts";
import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

/** Rows that say what lies in the blob store. */

export async function findCache(db: Db, project: string, key: string): Promise<Row<"cache"> | undefined> {
  return await db
    .selectFrom("cache")
    .selectAll()
    .where("project", "=", project)
    .where("key", "=", key)
    .executeTakeFirst();
}

/** The newest cache whose key begins with `prefix`. */
export async function findCacheByPrefix(db: Db, project: string, prefix: string): Promise<Row<"cache"> | undefined> {
  // Databases count characters where JavaScript counts UTF-16 units; LIKE would need escapes and ignores case here.
  const characters = Array.from(prefix).length;
  return await db
    .selectFrom("cache")
    .selectAll()
    .where("project", "=", project)
    .where((eb) => eb(eb.fn<string>("substr", ["key", eb.lit(1), eb.lit(characters)]), "=", prefix))
    .orderBy("created_order", "desc")
    .limit(1)
    .executeTakeFirst();
}

/** False when the key was taken: the first writer wins. */
export async function insertCache(db: Db, row: Omit<NewRow<"cache">, "created_order">): Promise<boolean> {
  const created_order = await nextNumbers(db, "cache");
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("cache")
    .values({ ...row, created_order })
    .onConflict((conflict) => conflict.columns(["project", "key"]).doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

export async function deleteCache(db: Db, id: string): Promise<void> {
  await db.deleteFrom("cache").where("id", "=", id).execute();
}

/** Answers the row that it replaced, whose blob is nobody's now. */
export async function putWorkspaceLayer(
  db: Db,
  row: NewRow<"workspace_layer">,
): Promise<Row<"workspace_layer"> | undefined> {
  const replaced = await db
    .deleteFrom("workspace_layer")
    .where("task_id", "=", row.task_id)
    .where("attempt", "=", row.attempt)
    .where("step", "=", row.step)
    .returningAll()
    .executeTakeFirst();
  await db.insertInto("workspace_layer").values(row).execute();
  return replaced;
}

/** Layers of the final attempts of these jobs' tasks, with the task's place in its job. */
export async function workspaceLayersOf(
  db: Db,
  jobIds: readonly string[],
): Promise<(Row<"workspace_layer"> & { node_index: number })[]> {
  if (jobIds.length === 0) return [];
  return await db
    .selectFrom("workspace_layer")
    .innerJoin("task", (join) =>
      join.onRef("task.id", "=", "workspace_layer.task_id").onRef("task.attempt", "=", "workspace_layer.attempt"),
    )
    .selectAll("workspace_layer")
    .select("task.node_index")
    .where("workspace_layer.job_id", "in", jobIds)
    .execute();
}

export async function putArtifact(db: Db, row: NewRow<"artifact">): Promise<void> {
  const { task_id: _task, path: _path, ...changed } = row;
  await db
    .insertInto("artifact")
    .values(row)
    .onConflict((conflict) => conflict.columns(["task_id", "path"]).doUpdateSet(changed))
    .execute();
}

export interface ArtifactRow {
  job: string;
  node: number;
  path: string;
  size_bytes: number;
  blob: string;
  sha256: string;
}

/** Of the final attempts of its tasks. */
export async function artifactsOfPipeline(db: Db, pipelineId: string): Promise<ArtifactRow[]> {
  return await db
    .selectFrom("artifact")
    .innerJoin("task", (join) =>
      join.onRef("task.id", "=", "artifact.task_id").onRef("task.attempt", "=", "artifact.attempt"),
    )
    .innerJoin("job", "job.id", "task.job_id")
    .select(["job.name as job", "task.node_index as node", "artifact.path", "artifact.size_bytes"])
    .select(["artifact.blob", "artifact.sha256"])
    .where("task.pipeline_id", "=", pipelineId)
    .orderBy("job.position")
    .orderBy("task.node_index")
    .orderBy("artifact.path")
    .execute();
}

export async function putTestResults(db: Db, row: NewRow<"test_results">): Promise<Row<"test_results"> | undefined> {
  const replaced = await db
    .deleteFrom("test_results")
    .where("task_id", "=", row.task_id)
    .where("attempt", "=", row.attempt)
    .where("step", "=", row.step)
    .returningAll()
    .executeTakeFirst();
  await db.insertInto("test_results").values(row).execute();
  return replaced;
}
