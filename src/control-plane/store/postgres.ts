import {
  type CompiledQuery,
  type DatabaseConnection,
  type DataTypeNode,
  type Dialect,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  PostgresQueryCompiler,
  type QueryExecutorProvider,
  type QueryResult,
  sql,
} from "kysely";
import { Pool, type PoolConfig, types } from "pg";
import type { Clock } from "../../lib/clock.ts";
import { ControlPlaneError } from "../errors.ts";
import type { Database } from "./database.ts";
import type { DatabaseSettings, StoreOptions } from "./options.ts";
import { PostgresNews } from "./postgres-news.ts";
import { codeOf, inWords } from "./postgres-words.ts";

/** All that is PostgreSQL's own is in this file and the two beside it. */

const defaultConnections = 10;
const connectTimeoutMs = 5_000;
const statementTimeoutMs = 60_000;
/** A host that vanishes in the middle of a transaction keeps its locks no longer than that. */
const idleInTransactionMs = 30_000;
/** How long a start waits for a database that starts as well. */
const startPatienceMs = 30_000;
const startRetryMs = 500;
const bigint = 20;
/** Serialization failure, deadlock. */
const conflicts = new Set(["40001", "40P01"]);
/** One name for all migrations of a database. */
const migrationLock = "schema";

type Options = DatabaseSettings & Pick<StoreOptions, "clock" | "onCommit">;

/** Throws ControlPlaneError `unavailable`, in words, when the database cannot be used; one that only starts is waited for. */
export async function openPostgres(options: Options): Promise<Database> {
  const config = configOf(options);
  const pool = new Pool(config);
  // An idle connection broke: the next query has another one, or says what is wrong.
  pool.on("error", () => undefined);
  try {
    await waitUntilReady(pool, options.clock);
  } catch (error) {
    await pool.end();
    throw error;
  }
  const news = new PostgresNews({ config, clock: options.clock, onNews: options.onCommit });
  return {
    dialect: dialectOf(pool),
    bytes: "bytea",
    beginMigration: async (tx) => {
      await sql`set local statement_timeout = 0`.execute(tx);
      await lock(tx, migrationLock);
    },
    lock,
    isConflict: (error) => conflicts.has(codeOf(error)),
    tell: (topics) => news.tell(topics),
    close: () => news.close(),
  };
}

function configOf({ url, maxConnections = defaultConnections }: DatabaseSettings): PoolConfig {
  return {
    connectionString: url.reveal(),
    max: maxConnections,
    application_name: "cofferdam",
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    // A server that vanished without a word is found out.
    query_timeout: statementTimeoutMs + connectTimeoutMs,
    keepAlive: true,
    types: { getTypeParser },
  };
}

/** Whole numbers are numbers: none of ours comes near 2⁵³. */
const getTypeParser = ((...[oid, format]: Parameters<typeof types.getTypeParser>) =>
  (oid as number) === bigint ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser;

async function waitUntilReady(pool: Pool, clock: Clock): Promise<void> {
  const until = clock.monotonic() + startPatienceMs;
  for (;;) {
    try {
      await pool.query("select 1");
      return;
    } catch (cause) {
      const error = inWords(cause);
      if (!(error instanceof ControlPlaneError) || !isPassing(cause) || clock.monotonic() >= until) throw error;
    }
    await clock.sleep(startRetryMs);
  }
}

/** What is over once the server, and its name, are up. */
function isPassing(cause: unknown): boolean {
  return ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EHOSTUNREACH", "57P03"].includes(codeOf(cause));
}

async function lock(tx: QueryExecutorProvider, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(tx);
}

function dialectOf(pool: Pool): Dialect {
  const dialect = new PostgresDialect({ pool });
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new WordyDriver({ pool }),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => new ByteOrderCompiler(),
  };
}

/** Texts compare by their bytes, whatever language the database was made for: as they do in SQLite. */
class ByteOrderCompiler extends PostgresQueryCompiler {
  protected override visitDataType(node: DataTypeNode): void {
    super.visitDataType(node);
    if (node.dataType === "text") this.append(' collate "C"');
  }
}

/** Says what a failure is, and lets none hide behind another. */
class WordyDriver extends PostgresDriver {
  readonly #connections = new WeakMap<DatabaseConnection, WordyConnection>();

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection().catch(rethrowInWords);
    const known = this.#connections.get(connection) ?? new WordyConnection(connection);
    this.#connections.set(connection, known);
    return known;
  }

  override async releaseConnection(connection: DatabaseConnection): Promise<void> {
    await super.releaseConnection((connection as WordyConnection).inner as never);
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // Where it fails, the connection is lost and the transaction with it: why that is was said before.
    await super.rollbackTransaction(connection).catch(() => undefined);
  }
}

class WordyConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection;

  constructor(inner: DatabaseConnection) {
    this.inner = inner;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return await this.inner.executeQuery<R>(query).catch(rethrowInWords);
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.inner.streamQuery(query, chunkSize);
  }
}

function rethrowInWords(error: unknown): never {
  throw inWords(error);
}
