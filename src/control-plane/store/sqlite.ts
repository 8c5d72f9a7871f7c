import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Dialect, SqliteDialect } from "kysely";

/** All that is SQLite's own is in this file: how it is opened, how its statements run, and which of its errors mean what. */

/** How long a writer waits for a writer of another process. */
const busyTimeoutMs = 10_000;
const maxCachedStatements = 300;

/** What Kysely asks of a SQLite driver. */
interface PreparedStatement {
  reader: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

type Value = null | number | bigint | string | Uint8Array;

export function sqliteDialect(file: string): Dialect {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  database.exec("pragma journal_mode = wal");
  // NORMAL loses nothing when the process dies, only when the machine does: then the newest commits may be gone.
  database.exec("pragma synchronous = normal");
  database.exec("pragma foreign_keys = on");
  database.exec("pragma wal_autocheckpoint = 4000");
  database.exec("pragma cache_size = -16000");
  return new SqliteDialect({ database: adapt(database) });
}

function adapt(database: DatabaseSync): { close(): void; prepare(sql: string): PreparedStatement } {
  const cache = new Map<string, PreparedStatement>();
  return {
    close: () => {
      cache.clear();
      database.close();
    },
    prepare: (sql) => {
      const text = beginForWriting(sql);
      const known = cache.get(text);
      if (known) return known;
      if (cache.size >= maxCachedStatements) cache.clear();
      const statement = adaptStatement(database.prepare(text));
      cache.set(text, statement);
      return statement;
    },
  };
}

/** A transaction that reads first and writes later fails at once when another process wrote in between: so take the lock first. */
function beginForWriting(sql: string): string {
  return sql === "begin" ? "begin immediate" : sql;
}

function adaptStatement(statement: StatementSync): PreparedStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...(parameters as Value[])),
    run: (parameters) => statement.run(...(parameters as Value[])),
    iterate: (parameters) => statement.iterate(...(parameters as Value[])),
  };
}
