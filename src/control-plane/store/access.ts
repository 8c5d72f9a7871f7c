import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export async function putResourceClass(db: Db, row: NewRow<"resource_class">): Promise<void> {
  await db
    .insertInto("resource_class")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ description: row.description }))
    .execute();
}

export async function resourceClassExists(db: Db, name: string): Promise<boolean> {
  return (
    (await db.selectFrom("resource_class").select("name").where("name", "=", name).executeTakeFirst()) !== undefined
  );
}

export async function classesWithPrefix(db: Db, prefix: string): Promise<string[]> {
  const rows = await db.selectFrom("resource_class").select("name").execute();
  return rows.map(({ name }) => name).filter((name) => name.startsWith(prefix));
}

/** With its tokens. */
export async function deleteResourceClass(db: Db, name: string): Promise<void> {
  await db.deleteFrom("resource_class").where("name", "=", name).execute();
}

export async function insertClassToken(db: Db, row: NewRow<"class_token">): Promise<void> {
  await db.insertInto("class_token").values(row).execute();
}

export async function findClassToken(db: Db, hash: string): Promise<Row<"class_token"> | undefined> {
  return await db.selectFrom("class_token").selectAll().where("hash", "=", hash).executeTakeFirst();
}

export async function insertTaskToken(db: Db, row: NewRow<"task_token">): Promise<void> {
  await db.insertInto("task_token").values(row).execute();
}

export async function findTaskToken(db: Db, hash: string): Promise<Row<"task_token"> | undefined> {
  return await db.selectFrom("task_token").selectAll().where("hash", "=", hash).executeTakeFirst();
}
