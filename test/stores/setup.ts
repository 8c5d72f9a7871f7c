import type { TestProject } from "vitest/node";
import { PostgresServer } from "./support/postgres-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where tests make databases of their own; absent in projects that run on SQLite. */
    postgres?: string;
  }
}

let postgres: PostgresServer | undefined;

/** One server for all tests; each makes a database of its own. */
export async function setup(project: TestProject): Promise<void> {
  postgres = await PostgresServer.start();
  project.provide("postgres", postgres.url("postgres"));
}

export async function teardown(): Promise<void> {
  await postgres?.[Symbol.asyncDispose]();
}
