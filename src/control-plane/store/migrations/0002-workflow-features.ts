import type { Kysely } from "kysely";

/** Locks, reasons of workflows that do not run, reruns, and what goes on with a setup config. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const job = (): ReturnType<typeof db.schema.alterTable> => db.schema.alterTable("job");
  await job().addColumn("refusal_status", "text").execute();
  await job().addColumn("lock_key", "text").execute();
  await job().addColumn("lock_state", "text").execute();
  await job().addColumn("lock_order", "bigint").execute();
  await job().addColumn("lock_asked_ms", "bigint").execute();
  await db.schema
    .createIndex("job_by_lock")
    .on("job")
    .columns(["lock_key", "lock_state"])
    .where("lock_key" as never, "is not", null)
    .execute();
  await db.schema.alterTable("workflow").addColumn("reason", "text").execute();
  await db.schema
    .alterTable("workflow")
    .addColumn("reruns_left", "integer", (c) => c.notNull().defaultTo(0))
    .execute();
  const pipeline = (): ReturnType<typeof db.schema.alterTable> => db.schema.alterTable("pipeline");
  await pipeline().addColumn("continuation_hash", "text").execute();
  await pipeline().addColumn("continuation_json", "text").execute();
  await pipeline().addColumn("continued_ms", "bigint").execute();
  await db.schema.createIndex("pipeline_by_continuation").on("pipeline").column("continuation_hash").execute();
}
