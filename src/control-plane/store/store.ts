import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Kysely } from "kysely";
import type { Clock } from "../../lib/clock.ts";
import { migrate } from "./migrate.ts";
import type { Schema } from "./schema.ts";
import { sqliteDialect } from "./sqlite.ts";

/** Where repositories read and write: the store itself, or a transaction of it. */
export type Db = Kysely<Schema>;

/** One transaction, and whom to wake once it is committed. */
export interface Unit {
  db: Db;
  /** Topics are told only after the commit, and not at all when it fails. */
  notify(topic: string): void;
}

export interface Store {
  db: Db;
  /** Runs `work` in one write transaction. Whatever it throws rolls everything back. */
  transaction<T>(work: (unit: Unit) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface StoreOptions {
  directory: string;
  clock: Clock;
  /** Told each topic of a committed transaction, and how often it was notified. */
  onCommit: (topic: string, count: number) => void;
}

/** Opens the database of a data directory, made and migrated where needed. */
export async function openStore(options: StoreOptions): Promise<Store> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const file = join(options.directory, "cofferdam.db");
  const db = new Kysely<Schema>({ dialect: sqliteDialect(file, options.clock) });
  try {
    await chmod(file, 0o600);
    await migrate(db as Kysely<unknown>, { bytes: "blob" });
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return {
    db,
    transaction: (work) => runTransaction(db, work, options.onCommit),
    close: () => db.destroy(),
  };
}

async function runTransaction<T>(
  db: Db,
  work: (unit: Unit) => Promise<T>,
  onCommit: StoreOptions["onCommit"],
): Promise<T> {
  const counts = new Map<string, number>();
  const notify = (topic: string): void => void counts.set(topic, (counts.get(topic) ?? 0) + 1);
  const result = await db.transaction().execute((tx) => work({ db: tx, notify }));
  for (const [topic, count] of counts) onCommit(topic, count);
  return result;
}
