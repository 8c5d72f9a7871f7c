import type { Kysely } from "kysely";

/** Which process an agent is, and which of its processes has a task. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("agent_session")
    .addColumn("queue", "text", (c) => c.notNull().references("resource_class.name").onDelete("cascade"))
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("session", "text", (c) => c.notNull())
    .addColumn("hostname", "text", (c) => c.notNull())
    .addColumn("opened_ms", "bigint", (c) => c.notNull())
    .addColumn("asked_ms", "bigint")
    .addColumn("seen_ms", "bigint")
    .addPrimaryKeyConstraint("agent_session_key", ["queue", "name"])
    .execute();
  await db.schema.createIndex("agent_session_by_asked").on("agent_session").column("asked_ms").execute();
  await db.schema.alterTable("task").addColumn("session", "text").execute();
  await db.schema.alterTable("task_token").addColumn("session", "text").execute();
}
