import type { Kysely } from "kysely";

/** Which content a name of an image stands for, for as long as a pipeline goes on. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("image_pin")
    .addColumn("pipeline_id", "text", (c) => c.notNull().references("pipeline.id").onDelete("cascade"))
    .addColumn("reference", "text", (c) => c.notNull())
    .addColumn("digest", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("image_pin_key", ["pipeline_id", "reference"])
    .execute();
}
