import type { Kysely } from "kysely";

/** Workflows that start by themselves. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("schedule")
    .addColumn("project", "text", (c) => c.notNull())
    .addColumn("branch", "text", (c) => c.notNull())
    .addColumn("workflow", "text", (c) => c.notNull())
    .addColumn("cron", "text", (c) => c.notNull())
    .addColumn("due_ms", "bigint")
    .addColumn("pipeline_json", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("schedule_key", ["project", "branch", "workflow", "cron"])
    .execute();
  await db.schema.createIndex("schedule_by_due").on("schedule").column("due_ms").execute();
}
