import type { Dialect, QueryExecutorProvider } from "kysely";

/** All in which one database differs from another. */
export interface Database extends Dialectal {
  dialect: Dialect;
  /** Waits until nobody else has the name, and keeps it for the caller's transaction. Absent: there is one writer at a time anyhow. */
  lock?: (tx: QueryExecutorProvider, name: string) => Promise<void>;
  /** The transaction that failed with this got in another one's way: it may work the next time. */
  isConflict: (error: unknown) => boolean;
  /** Tells the other processes what was committed here. Absent: they find out by looking. */
  tell?: (topics: ReadonlyMap<string, number>) => void;
  /** Ends what the dialect does not end. */
  close?: () => Promise<void>;
}

/** What migrations must know of the database that they run on. */
export interface Dialectal {
  /** The column type for bytes. */
  bytes: "blob" | "bytea";
  /** Begins the transaction of all migrations, so that of several processes one makes them. */
  beginMigration?: (tx: QueryExecutorProvider) => Promise<void>;
}
