import { type Kysely, sql } from "kysely";
import type { Dialectal } from "./database.ts";
import { up as spine } from "./migrations/0001-spine.ts";
import { up as workflowFeatures } from "./migrations/0002-workflow-features.ts";
import { up as orbs } from "./migrations/0003-orbs.ts";
import { up as schedules } from "./migrations/0004-schedules.ts";
import { up as sessions } from "./migrations/0005-sessions.ts";
import { up as fleet } from "./migrations/0006-fleet.ts";
import { up as imagePins } from "./migrations/0007-image-pins.ts";
import { up as waitsAndPins } from "./migrations/0008-waits-and-pins.ts";

type Migration = (db: Kysely<unknown>, dialectal: Dialectal) => Promise<void>;

/** In order; a migration's number is its place, from 1. What was released is never changed. */
const migrations: readonly Migration[] = [
  spine,
  workflowFeatures,
  orbs,
  schedules,
  sessions,
  fleet,
  imagePins,
  waitsAndPins,
];

/** Brings the tables to the newest shape, in one transaction; several processes may try at once. */
export async function migrate(db: Kysely<unknown>, dialectal: Dialectal): Promise<void> {
  if ((await currentVersion(db)) === migrations.length) return;
  await db.transaction().execute(async (tx) => {
    await dialectal.beginMigration?.(tx);
    await tx.schema
      .createTable("schema_version")
      .ifNotExists()
      .addColumn("version", "integer", (c) => c.primaryKey())
      .execute();
    // Read again inside of the transaction: another process may have been first.
    const version = await versionOf(tx);
    if (version > migrations.length) throw newerStore(version);
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      await migration(tx, dialectal);
      await sql`insert into schema_version (version) values (${sql.lit(index + 1)})`.execute(tx);
    }
  });
}

/** Undefined where there is no table of versions yet. */
async function currentVersion(db: Kysely<unknown>): Promise<number | undefined> {
  try {
    const version = await versionOf(db);
    if (version > migrations.length) throw newerStore(version);
    return version;
  } catch (error) {
    if (error instanceof StoreTooNew) throw error;
    return undefined;
  }
}

async function versionOf(db: Kysely<unknown>): Promise<number> {
  const { rows } = await sql<{ version: number | null }>`select max(version) as version from schema_version`.execute(
    db,
  );
  return rows[0]?.version ?? 0;
}

class StoreTooNew extends Error {
  override name = "StoreTooNew";
}

function newerStore(version: number): StoreTooNew {
  return new StoreTooNew(
    `the store was written by a newer Cofferdam (schema ${version}, this one knows ${migrations.length}); use that version, or another store`,
  );
}
