import type { Db } from "./store.ts";

/** Rejects when the store cannot be read. */
export async function pingStore(db: Db): Promise<void> {
  await db.selectFrom("counter").select("name").limit(1).execute();
}
