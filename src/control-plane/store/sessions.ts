import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export interface AgentKey {
  queue: string;
  name: string;
}

export async function findSession(db: Db, { queue, name }: AgentKey): Promise<Row<"agent_session"> | undefined> {
  return await db
    .selectFrom("agent_session")
    .selectAll()
    .where("queue", "=", queue)
    .where("name", "=", name)
    .executeTakeFirst();
}

/** In the place of an earlier one. */
export async function putSession(db: Db, row: NewRow<"agent_session">): Promise<void> {
  await db
    .insertInto("agent_session")
    .values(row)
    .onConflict((conflict) => conflict.columns(["queue", "name"]).doUpdateSet(row))
    .execute();
}

export async function updateSession(db: Db, key: AgentKey, columns: Partial<Row<"agent_session">>): Promise<void> {
  await db
    .updateTable("agent_session")
    .set(columns)
    .where("queue", "=", key.queue)
    .where("name", "=", key.name)
    .execute();
}

export async function deleteSession(db: Db, { queue, name }: AgentKey, session: string): Promise<void> {
  await db
    .deleteFrom("agent_session")
    .where("queue", "=", queue)
    .where("name", "=", name)
    .where("session", "=", session)
    .execute();
}

/** Agents that are being asked for a sign of life. */
export async function askedAgents(db: Db, sinceMs: number): Promise<AgentKey[]> {
  return await db.selectFrom("agent_session").select(["queue", "name"]).where("asked_ms", ">=", sinceMs).execute();
}

/** The end of the lease that an agent's process renewed last; 0 where it has none. */
export async function newestLeaseOf(db: Db, { queue, name }: AgentKey, session: string): Promise<number> {
  const row = await db
    .selectFrom("task")
    .select((select) => select.fn.max("lease_expires_ms").as("newest"))
    .where("status", "=", "running")
    .where("queue", "=", queue)
    .where("agent", "=", name)
    .where("session", "=", session)
    .executeTakeFirst();
  return row?.newest ?? 0;
}
