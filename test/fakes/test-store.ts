import { createHash } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { Secret } from "../../src/lib/secret.ts";

/**
 * Where a test's control plane keeps its rows: the data directory stands for the store, whoever opens it. In the project `stores` it is a
 * PostgreSQL database that belongs to the directory, made with the first call; else the directory itself.
 */
export async function storeOf(dataDirectory: string): Promise<{ database?: { url: Secret } }> {
  const server = inject("postgres");
  if (server === undefined) return {};
  const name = databaseOf(dataDirectory);
  await onServer(server, `create database "${name}"`).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && ["42P04", "23505"].includes(String(error.code)))) throw error;
  });
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { database: { url: new Secret(url.href) } };
}

/** The same, as the environment of a server's process. */
export async function storeEnvironmentOf(dataDirectory: string): Promise<Record<string, string>> {
  const { database } = await storeOf(dataDirectory);
  return {
    COFFERDAM_DATA_DIRECTORY: dataDirectory,
    ...(database ? { COFFERDAM_DATABASE_URL: database.url.reveal() } : {}),
  };
}

export async function removeStoreOf(dataDirectory: string): Promise<void> {
  const server = inject("postgres");
  if (server !== undefined)
    await onServer(server, `drop database if exists "${databaseOf(dataDirectory)}" with (force)`);
}

function databaseOf(dataDirectory: string): string {
  return `test_${createHash("sha256").update(dataDirectory).digest("hex").slice(0, 24)}`;
}

async function onServer(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
