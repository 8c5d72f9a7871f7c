import type { NewRow, Row } from "./schema.ts";
import type { Db } from "./store.ts";

export interface OrbName {
  namespace: string;
  name: string;
}

/** Versions of an orb that have not expired. */
export async function liveVersions(db: Db, { namespace, name }: OrbName, nowMs: number): Promise<Row<"orb_version">[]> {
  return await db
    .selectFrom("orb_version")
    .selectAll()
    .where("namespace", "=", namespace)
    .where("name", "=", name)
    .where((eb) => eb.or([eb("expires_ms", "is", null), eb("expires_ms", ">", nowMs)]))
    .execute();
}

export interface OrbPageRequest {
  namespace?: string | undefined;
  /** The last orb of the page before. */
  after?: OrbName | undefined;
  limit: number;
  nowMs: number;
}

/** Orbs that have a version, in order of their names. */
export async function pageOfOrbs(db: Db, { namespace, after, limit, nowMs }: OrbPageRequest): Promise<OrbName[]> {
  let query = liveOrbs(db, nowMs, namespace);
  if (after)
    query = query.where((eb) =>
      eb.or([
        eb("namespace", ">", after.namespace),
        eb.and([eb("namespace", "=", after.namespace), eb("name", ">", after.name)]),
      ]),
    );
  return await query.orderBy("namespace").orderBy("name").limit(limit).execute();
}

export async function countOrbs(db: Db, nowMs: number, namespace?: string): Promise<number> {
  const { count } = await db
    .selectFrom(liveOrbs(db, nowMs, namespace).as("orb"))
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return count;
}

function liveOrbs(db: Db, nowMs: number, namespace: string | undefined) {
  const query = db
    .selectFrom("orb_version")
    .select(["namespace", "name"])
    .distinct()
    .where((eb) => eb.or([eb("expires_ms", "is", null), eb("expires_ms", ">", nowMs)]));
  return namespace === undefined ? query : query.where("namespace", "=", namespace);
}

/** Undefined when there is no such text any more. */
export async function orbText(db: Db, hash: string): Promise<string | undefined> {
  return (await db.selectFrom("orb_text").select("text").where("hash", "=", hash).executeTakeFirst())?.text;
}

/** Takes the place of a version of the same name. A text that is stored already is not stored again. */
export async function putOrbVersion(db: Db, row: NewRow<"orb_version">, text: string): Promise<void> {
  await db
    .insertInto("orb_text")
    .values({ hash: row.hash, text })
    .onConflict((conflict) => conflict.column("hash").doNothing())
    .execute();
  const { id, hash, published_ms, expires_ms } = row;
  await db
    .insertInto("orb_version")
    .values(row)
    .onConflict((conflict) =>
      conflict.columns(["namespace", "name", "version"]).doUpdateSet({ id, hash, published_ms, expires_ms }),
    )
    .execute();
}

/** Removes what has expired, and every text that no version has any more. */
export async function sweepOrbs(db: Db, nowMs: number): Promise<void> {
  await db.deleteFrom("orb_version").where("expires_ms", "<=", nowMs).execute();
  await db
    .deleteFrom("orb_text")
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom("orb_version").select("id").whereRef("orb_version.hash", "=", "orb_text.hash"))),
    )
    .execute();
}
