import { mkdir } from "node:fs/promises";
import { Kysely } from "kysely";
import { ControlPlaneError } from "../errors.ts";
import type { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { StoreOptions } from "./options.ts";
import type { Schema } from "./schema.ts";
import { openSqlite } from "./sqlite.ts";

/** Where repositories read and write: the store itself, or a transaction of it. */
export type Db = Kysely<Schema>;

/** One transaction, and whom to wake once it is committed. */
export interface Unit {
  db: Db;
  /** Topics are told only after the commit, and not at all when it fails. */
  notify(topic: string): void;
  /**
   * Nobody else gets past this with the same name until the transaction ends: to be called before that is read which decides what
   * is written. What belongs to a pipeline (its jobs, tasks, records) is locked with the pipeline's topic.
   */
  lock(name: string): Promise<void>;
  /** Rows can be locked one by one. Otherwise there is one writer at a time. */
  hasRowLocks: boolean;
}

export interface Store {
  db: Db;
  /**
   * Runs `work` in one write transaction. Whatever it throws rolls everything back. It is run again when it got in another one's
   * way: it must change nothing but the store. Here and in `db`, a database that cannot be used for now is a ControlPlaneError
   * `unavailable`.
   */
  transaction<T>(work: (unit: Unit) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const maxTries = 10;

/** Opens the database, made and migrated where needed. Throws an Error in words when it cannot be used. */
export async function openStore(options: StoreOptions): Promise<Store> {
  // It holds more than the database: blobs, mirrors, the administrator's token.
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const database = await openDatabase(options);
  const db = new Kysely<Schema>({ dialect: database.dialect });
  const close = async (): Promise<void> => {
    await database.close?.();
    await db.destroy();
  };
  try {
    await migrate(db as Kysely<unknown>, database);
  } catch (error) {
    await close();
    throw error;
  }
  return { db, close, transaction: (work) => runTransaction({ db, database, onCommit: options.onCommit }, work) };
}

async function openDatabase(options: StoreOptions): Promise<Database> {
  if (!options.database) return await openSqlite(options.directory, options.clock);
  // Loaded only where it is used: whoever runs a pipeline on this machine would wait for nothing.
  const { openPostgres } = await import("./postgres.ts");
  return await openPostgres({ ...options, ...options.database });
}

interface Running {
  db: Db;
  database: Database;
  onCommit: StoreOptions["onCommit"];
}

async function runTransaction<T>({ db, database, onCommit }: Running, work: (unit: Unit) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const topics = new Map<string, number>();
    try {
      const result = await db.transaction().execute((tx) => work(unitOf(tx, database, topics)));
      for (const [topic, count] of topics) onCommit(topic, count);
      if (topics.size > 0) database.tell?.(topics);
      return result;
    } catch (error) {
      if (!database.isConflict(error)) throw error;
      if (tries < maxTries) continue;
      throw new ControlPlaneError("unavailable", "too many write the same at once; try again", { cause: error });
    }
  }
}

function unitOf(db: Db, database: Database, topics: Map<string, number>): Unit {
  const locked = new Set<string>();
  return {
    db,
    hasRowLocks: database.lock !== undefined,
    notify: (topic) => void topics.set(topic, (topics.get(topic) ?? 0) + 1),
    lock: async (name) => {
      if (locked.has(name)) return;
      await database.lock?.(db, name);
      locked.add(name);
    },
  };
}
