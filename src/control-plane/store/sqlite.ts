import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from "kysely";
import type { Clock } from "../../lib/clock.ts";

/** All that is SQLite's own is in this file: how it is opened, how its statements run, and what it does while others write. */

/** How long a transaction waits for the writers of other processes. */
const patienceMs = 15_000;
/** Between two tries to begin. Writers are done in a few milliseconds. */
const retryMs = 3;
/** What remains outside of transactions waits inside of SQLite, and holds this process up meanwhile. */
const busyTimeoutMs = 5_000;
const maxCachedStatements = 300;

type Value = null | number | bigint | string | Uint8Array;

export function sqliteDialect(file: string, clock: Clock): Dialect {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  database.exec("pragma journal_mode = wal");
  // NORMAL loses nothing when the process dies, only when the machine does: then the newest commits may be gone.
  database.exec("pragma synchronous = normal");
  database.exec("pragma foreign_keys = on");
  database.exec("pragma wal_autocheckpoint = 4000");
  database.exec("pragma cache_size = -16000");
  const adapted = adapt(database);
  const dialect = new SqliteDialect({ database: adapted });
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new PatientDriver(adapted, clock),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  };
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
    while (!(await tryBegin(connection, this.#clock.monotonic() < until))) await this.#clock.sleep(retryMs);
  }
}

async function tryBegin(connection: DatabaseConnection, mayFail: boolean): Promise<boolean> {
  await connection.executeQuery(CompiledQuery.raw("pragma busy_timeout = 0"));
  try {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
    return true;
  } catch (error) {
    if (mayFail && isBusy(error)) return false;
    throw error;
  } finally {
    await connection.executeQuery(CompiledQuery.raw(`pragma busy_timeout = ${busyTimeoutMs}`));
  }
}

/** SQLITE_BUSY, whatever its extended code says. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === 5;
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
      const statement = adaptStatement(database.prepare(sql));
      cache.set(sql, statement);
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...(parameters as Value[])),
    run: (parameters) => statement.run(...(parameters as Value[])),
    iterate: (parameters) => statement.iterate(...(parameters as Value[])),
  };
}
