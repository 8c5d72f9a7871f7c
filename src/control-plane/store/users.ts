import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

/** A name has one token: a new one takes the place of the old one. */
export async function putUserToken(db: Db, row: NewRow<"user_token">): Promise<void> {
  const { id, hash, created_ms } = row;
  await db
    .insertInto("user_token")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ id, hash, created_ms }))
    .execute();
}

export async function findUserToken(
  db: Db,
  by: { hash: string } | { name: string },
): Promise<Row<"user_token"> | undefined> {
  const query = db.selectFrom("user_token").selectAll();
  const found = "hash" in by ? query.where("hash", "=", by.hash) : query.where("name", "=", by.name);
  return await found.executeTakeFirst();
}
