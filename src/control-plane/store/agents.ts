import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

/** What a call said of its agent. Facts that it did not say stay as they were. */
export interface Contact {
  resourceClass: string;
  name: string;
  facts?: Pick<Row<"agent">, "hostname" | "ip" | "version"> | undefined;
  atMs: number;
  /** It got a task then. */
  used: boolean;
}

/** A class that is gone has no agents. */
export async function putContact(db: Db, { resourceClass, name, facts, atMs, used }: Contact): Promise<void> {
  const row: NewRow<"agent"> = {
    resource_class: resourceClass,
    name,
    ...(facts ?? { hostname: "", ip: "", version: "" }),
    first_ms: atMs,
    last_ms: atMs,
    used_ms: used ? atMs : null,
  };
  const changed = { last_ms: atMs, ...facts, ...(used ? { used_ms: atMs } : {}) };
  const exists = await db
    .selectFrom("resource_class")
    .select("name")
    .where("name", "=", resourceClass)
    .executeTakeFirst();
  if (!exists) return;
  await db
    .insertInto("agent")
    .values(row)
    .onConflict((conflict) => conflict.columns(["resource_class", "name"]).doUpdateSet(changed))
    .execute();
}

/** In order of class and name. */
export async function agentsSince(
  db: Db,
  { sinceMs, resourceClass }: { sinceMs: number; resourceClass?: string | undefined },
): Promise<Row<"agent">[]> {
  const query = db.selectFrom("agent").selectAll().where("last_ms", ">=", sinceMs);
  const found = resourceClass === undefined ? query : query.where("resource_class", "=", resourceClass);
  return await found.orderBy("resource_class").orderBy("name").execute();
}

export async function deleteAgentsBefore(db: Db, beforeMs: number): Promise<void> {
  await db.deleteFrom("agent").where("last_ms", "<", beforeMs).execute();
}

/** Ids of what agents run, with their classes and names. */
export async function whatAgentsRun(db: Db): Promise<{ id: string; queue: string; agent: string | null }[]> {
  return await db.selectFrom("task").select(["id", "queue", "agent"]).where("status", "=", "running").execute();
}
