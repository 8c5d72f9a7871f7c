import { Client, type ClientConfig } from "pg";
import { z } from "zod";
import type { Clock } from "../../lib/clock.ts";
import type { StoreOptions } from "./options.ts";

const channel = "cofferdam";
/** PostgreSQL takes 8000 bytes; a name may be as long as a class's. */
const maxPayloadBytes = 7_000;
const retryMs = 1_000;

const News = z.array(z.tuple([z.string(), z.number()]));

interface Options {
  config: ClientConfig;
  clock: Clock;
  onNews: StoreOptions["onCommit"];
}

/**
 * What is committed here is told to the other processes over one connection, in as few words as it takes, and the other way round.
 * Nothing depends on it: while it is down, everybody looks for themselves as often as they do.
 */
export class PostgresNews {
  readonly #options: Options;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #untold = new Map<string, number>();
  #telling = false;
  #connected: { client: Client; pid: number } | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#running = this.#run();
  }

  tell(topics: ReadonlyMap<string, number>): void {
    if (!this.#connected) return;
    for (const [topic, count] of topics) this.#untold.set(topic, (this.#untold.get(topic) ?? 0) + count);
    if (!this.#telling) void this.#tellAll();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#listen().catch(() => undefined);
      await this.#options.clock.sleep(retryMs, signal).catch(() => undefined);
    }
  }

  /** Until the connection breaks, or everything ends. */
  async #listen(): Promise<void> {
    const { signal } = this.#closing;
    const client = new Client(this.#options.config);
    const over = Promise.withResolvers<void>();
    const end = (): void => over.resolve();
    client.on("error", end).on("end", end);
    signal.addEventListener("abort", end, { once: true });
    try {
      await client.connect();
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      const pid = rows[0]?.pid ?? 0;
      client.on("notification", ({ processId, payload }) => processId !== pid && this.#hear(payload ?? ""));
      await client.query(`listen ${channel}`);
      if (!signal.aborted) this.#connected = { client, pid };
      await over.promise;
    } finally {
      this.#connected = undefined;
      signal.removeEventListener("abort", end);
      await client.end().catch(() => undefined);
    }
  }

  #hear(payload: string): void {
    for (const [topic, count] of News.parse(JSON.parse(payload))) this.#options.onNews(topic, count);
  }

  /** What comes up while one message is on its way goes with the next. */
  async #tellAll(): Promise<void> {
    this.#telling = true;
    try {
      while (this.#connected && this.#untold.size > 0)
        await this.#connected.client.query("select pg_notify($1, $2)", [channel, this.#nextPayload()]);
    } catch {
      // Those who were to hear it look for themselves.
    } finally {
      this.#telling = false;
      if (!this.#connected) this.#untold.clear();
    }
  }

  #nextPayload(): string {
    const told: [string, number][] = [];
    let bytes = 2;
    for (const entry of this.#untold) {
      bytes += Buffer.byteLength(JSON.stringify(entry)) + 1;
      if (told.length > 0 && bytes > maxPayloadBytes) break;
      told.push(entry);
      this.#untold.delete(entry[0]);
    }
    return JSON.stringify(told);
  }
}
