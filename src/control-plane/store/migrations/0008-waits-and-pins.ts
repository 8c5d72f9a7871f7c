import { type Kysely, sql } from "kysely";

/** Since when a task waits and runs, and for which class alone a name of an image stands for something. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("task").addColumn("queued_ms", "bigint").execute();
  await db.schema.alterTable("task").addColumn("claimed_ms", "bigint").execute();
  // No database changes a primary key in the same words; and pins are worth as much as the pipelines that go on right now.
  await db.schema.alterTable("image_pin").renameTo("image_pin_of_all").execute();
  await db.schema
    .createTable("image_pin")
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("resource_class", "text", (c) => c.notNull())
    .addColumn("reference", "text", (c) => c.notNull())
    .addColumn("digest", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("image_pin_by_class_key", ["pipeline_id", "resource_class", "reference"])
    .execute();
  await sql`
    insert into image_pin (pipeline_id, resource_class, reference, digest)
    select pipeline_id, '', reference, digest from image_pin_of_all`.execute(db);
  await db.schema.dropTable("image_pin_of_all").execute();
}
