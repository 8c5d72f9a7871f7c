import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export async function putResourceClass(db: Db, row: NewRow<"resource_class">): Promise<void> {
  const { description, settings_json } = row;
  await db
    .insertInto("resource_class")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ description, settings_json }))
    .execute();
}

/** False when there is one of this name. */
export async function insertClass(db: Db, row: NewRow<"resource_class">): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("resource_class")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n;
}

export async function updateClass(
  db: Db,
  name: string,
  columns: Partial<Pick<Row<"resource_class">, "description" | "settings_json">>,
): Promise<void> {
  await db.updateTable("resource_class").set(columns).where("name", "=", name).execute();
}

export async function findClass(
  db: Db,
  by: { name: string } | { id: string },
): Promise<Row<"resource_class"> | undefined> {
  const query = db.selectFrom("resource_class").selectAll();
  const found = "id" in by ? query.where("id", "=", by.id) : query.where("name", "=", by.name);
  return await found.executeTakeFirst();
}

/** In order of their names. */
export async function allClasses(db: Db): Promise<Row<"resource_class">[]> {
  return await db.selectFrom("resource_class").selectAll().orderBy("name").execute();
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

/** Oldest first. */
export async function tokensOfClass(db: Db, resourceClass: string): Promise<Row<"class_token">[]> {
  return await db
    .selectFrom("class_token")
    .selectAll()
    .where("resource_class", "=", resourceClass)
    .orderBy("created_ms")
    .orderBy("id")
    .execute();
}

/** False when there was none. */
export async function deleteClassToken(db: Db, id: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom("class_token").where("id", "=", id).executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

export async function insertTaskToken(db: Db, row: NewRow<"task_token">): Promise<void> {
  await db.insertInto("task_token").values(row).execute();
}

export async function findTaskToken(db: Db, hash: string): Promise<Row<"task_token"> | undefined> {
  return await db.selectFrom("task_token").selectAll().where("hash", "=", hash).executeTakeFirst();
}
