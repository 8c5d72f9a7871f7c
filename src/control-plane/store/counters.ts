import type { Db } from "./store.ts";

/** The next `count` numbers of a sequence, from 1 on; answers the first one. Inside of a transaction. */
export async function nextNumbers(db: Db, name: string, count = 1): Promise<number> {
  const row = await db
    .insertInto("counter")
    .values({ name, value: count })
    .onConflict((conflict) => conflict.column("name").doUpdateSet((eb) => ({ value: eb("counter.value", "+", count) })))
    .returning("value")
    .executeTakeFirstOrThrow();
  return row.value - count + 1;
}
