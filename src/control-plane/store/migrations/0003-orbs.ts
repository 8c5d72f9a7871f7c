import type { Kysely } from "kysely";

/** The orb registry, and the tokens that people use it with. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("user_token")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("name", "text", (c) => c.notNull().unique())
    .addColumn("hash", "text", (c) => c.notNull().unique())
    .addColumn("created_ms", "bigint", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("orb_text")
    .addColumn("hash", "text", (c) => c.primaryKey())
    .addColumn("text", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("orb_version")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("namespace", "text", (c) => c.notNull())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("hash", "text", (c) => c.notNull().references("orb_text.hash"))
    .addColumn("published_ms", "bigint", (c) => c.notNull())
    .addColumn("expires_ms", "bigint")
    .execute();
  await db.schema
    .createIndex("orb_version_by_name")
    .on("orb_version")
    .columns(["namespace", "name", "version"])
    .unique()
    .execute();
  await db.schema.createIndex("orb_version_by_text").on("orb_version").column("hash").execute();
}
