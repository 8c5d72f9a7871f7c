import { randomUUID } from "node:crypto";
import { type Kysely, sql } from "kysely";

/** Settings of classes, the agents that are known, and tasks that are run again though their steps had begun. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("resource_class").addColumn("id", "text").execute();
  await db.schema.alterTable("resource_class").addColumn("settings_json", "text").execute();
  const { rows } = await sql<{ name: string }>`select name from resource_class`.execute(db);
  for (const { name } of rows)
    await sql`update resource_class set id = ${randomUUID()} where name = ${name}`.execute(db);
  await db.schema.createIndex("resource_class_by_id").on("resource_class").column("id").unique().execute();
  await db.schema.createIndex("class_token_by_class").on("class_token").column("resource_class").execute();
  await db.schema
    .alterTable("task")
    .addColumn("unsafe_retries", "integer", (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema.alterTable("task").addColumn("ended_ms", "bigint").execute();
  await db.schema
    .createTable("agent")
    .addColumn("resource_class", "text", (c) => c.notNull().references("resource_class.name").onDelete("cascade"))
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("hostname", "text", (c) => c.notNull())
    .addColumn("ip", "text", (c) => c.notNull())
    .addColumn("version", "text", (c) => c.notNull())
    .addColumn("first_ms", "bigint", (c) => c.notNull())
    .addColumn("last_ms", "bigint", (c) => c.notNull())
    .addColumn("used_ms", "bigint")
    .addPrimaryKeyConstraint("agent_key", ["resource_class", "name"])
    .execute();
}
