import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from "kysely";
import type { Clock } from "../../lib/clock.ts";
import { ControlPlaneError } from "../errors.ts";
import type { Database } from "./database.ts";

/** All that is SQLite's own is in this file: how it is opened, how its statements run, and what it does while others write. */

/** How long a transaction waits for the writers of other processes. */
const patienceMs = 15_000;
/** Between two tries to begin. Writers are done in a few milliseconds. */
const retryMs = 3;
/** What remains outside of transactions waits inside of SQLite, and holds this process up meanwhile. */
const busyTimeoutMs = 5_000;
const maxCachedStatements = 300;
const busy = 5;
/** Result codes of a disk or a file that cannot be used for now, in words. */
const troubles: Readonly<Record<number, string>> = {
  8: "the database cannot be written: its disk or its file is read-only",
  10: "the disk of the database fails at reading or writing",
  11: "the database file is damaged; restore it from a backup",
  13: "the disk of the database is full; make room on it",
  14: "the database file cannot be opened; look at its directory's owner and mode",
  26: "the file cofferdam.db is no database, or a damaged one; restore it from a backup",
};

type Value = null | number | bigint | string | Uint8Array;

export async function openSqlite(directory: string, clock: Clock): Promise<Database> {
  const file = join(directory, "cofferdam.db");
  const database = inWords(() => openFile(file));
  await chmod(file, 0o600).catch((cause: unknown) => {
    database.close();
    throw new ControlPlaneError("unavailable", `the database cannot be written: ${messageOf(cause)}`, { cause });
  });
  const adapted = adapt(database);
  const dialect = new SqliteDialect({ database: adapted });
  return {
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new PatientDriver(adapted, clock),
      createIntrospector: (db) => dialect.createIntrospector(db),
      createQueryCompiler: () => dialect.createQueryCompiler(),
    },
    bytes: "blob",
    isConflict: () => false,
  };
}

function openFile(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  database.exec("pragma journal_mode = wal");
  // NORMAL loses nothing when the process dies, only when the machine does: then the newest commits may be gone.
  database.exec("pragma synchronous = normal");
  database.exec("pragma foreign_keys = on");
  database.exec("pragma wal_autocheckpoint = 4000");
  database.exec("pragma cache_size = -16000");
  return database;
}

/**
 * Begins transactions with the lock for writing: one that reads first and writes later would fail at once when another process
 * wrote in between. While another one writes, it waits without holding this process up.
 */
class PatientDriver extends SqliteDriver {
  readonly #clock: Clock;

  constructor(database: SqliteDatabase, clock: Clock) {
    super({ database });
    this.#clock = clock;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const until = this.#clock.monotonic() + patienceMs;
    while (!(await tryBegin(connection))) {
      if (this.#clock.monotonic() >= until)
        throw new ControlPlaneError(
          "unavailable",
          `another process has been writing to the database for ${patienceMs / 1000} s; try again`,
        );
      await this.#clock.sleep(retryMs);
    }
  }

  /** Some failures (a full disk) have ended the transaction already. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await super.rollbackTransaction(connection).catch((error: unknown) => {
      if (!(error instanceof Error && error.message.includes("no transaction is active"))) throw error;
    });
  }
}

async function tryBegin(connection: DatabaseConnection): Promise<boolean> {
  await connection.executeQuery(CompiledQuery.raw("pragma busy_timeout = 0"));
  try {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
    return true;
  } catch (error) {
    if (resultCode(error) === busy) return false;
    throw error;
  } finally {
    await connection.executeQuery(CompiledQuery.raw(`pragma busy_timeout = ${busyTimeoutMs}`));
  }
}

/** Without what its extended form adds. */
function resultCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}

/** What is wrong with the disk is said, and may be over at the next try. */
function inWords<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const words = troubles[resultCode(error) ?? 0];
    throw words === undefined ? error : new ControlPlaneError("unavailable", words, { cause: error });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Statements are prepared once. */
function adapt(database: DatabaseSync): SqliteDatabase {
  const cache = new Map<string, SqliteStatement>();
  return {
    close: () => {
      cache.clear();
      database.close();
    },
    prepare: (sql) => {
      const known = cache.get(sql);
      if (known) return known;
      if (cache.size >= maxCachedStatements) cache.clear();
      const statement = adaptStatement(inWords(() => database.prepare(sql)));
      cache.set(sql, statement);
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => inWords(() => statement.all(...(parameters as Value[]))),
    run: (parameters) => inWords(() => statement.run(...(parameters as Value[]))),
    iterate: (parameters) => statement.iterate(...(parameters as Value[])),
  };
}
