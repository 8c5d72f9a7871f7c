import type { Clock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";

export interface DatabaseSettings {
  /** `postgres://user:password@host:port/database?sslmode=…`. */
  url: Secret;
  /** Connections of this process at most. */
  maxConnections?: number;
}

export interface StoreOptions {
  /** The data directory, made when it is missing: the database is in it. */
  directory: string;
  /** PostgreSQL instead. */
  database?: DatabaseSettings;
  clock: Clock;
  /** Told each topic of a committed transaction, and how often it was notified. Of other processes too, where the database can tell. */
  onCommit: (topic: string, count: number) => void;
}
