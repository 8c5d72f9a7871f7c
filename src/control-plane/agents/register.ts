import type { FastifyBaseLogger } from "fastify";
import type { Clock } from "../../lib/clock.ts";
import type { RunnerItem } from "../../protocol/operator-api.ts";
import { agentsSince, type Contact, deleteAgentsBefore, putContact, whatAgentsRun } from "../store/agents.ts";
import type { Store } from "../store/store.ts";

/** Who has not called for so long is no agent any more. CircleCI's limit. */
const hiddenAfterMs = 12 * 60 * 60_000;
const writeIntervalMs = 1_000;
const sweepIntervalMs = 10 * 60_000;

/**
 * Who calls as a launch agent. Thousands of idle ones call every minute: what they say is gathered, and written down once a second.
 * What a killed process had not written yet, the next calls say again.
 */
export class AgentRegister {
  readonly #store: Store;
  readonly #clock: Clock;
  #heard = new Map<string, Contact>();
  #sweptMs = 0;

  constructor({ store, clock }: { store: Store; clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  heard({ resourceClass, name, facts, used = false }: Omit<Contact, "atMs" | "used"> & { used?: boolean }): void {
    const key = `${resourceClass} ${name}`;
    const before = this.#heard.get(key);
    this.#heard.set(key, {
      resourceClass,
      name,
      facts: facts ?? before?.facts,
      atMs: this.#clock.now(),
      used: used || before?.used === true,
    });
  }

  /** Writes down what is heard, until the signal aborts. */
  async keep(signal: AbortSignal, log: Pick<FastifyBaseLogger, "error">): Promise<void> {
    for (;;) {
      await this.#clock.sleep(writeIntervalMs, signal);
      await this.#write().catch((err: unknown) => log.error({ err }, "what agents said could not be written down"));
    }
  }

  /** Agents of these classes, all of them when there is no filter, with what they run. */
  async list(filter: { resourceClass?: string | undefined; namespace?: string | undefined }): Promise<RunnerItem[]> {
    await this.#write();
    const { db } = this.#store;
    const { resourceClass, namespace } = filter;
    const rows = await agentsSince(db, { sinceMs: this.#clock.now() - hiddenAfterMs, resourceClass });
    const running = Map.groupBy(await whatAgentsRun(db), ({ queue, agent }) => `${queue} ${agent}`);
    return rows
      .filter((row) => namespace === undefined || row.resource_class.startsWith(`${namespace}/`))
      .map((row) => ({
        resource_class: row.resource_class,
        name: row.name,
        hostname: row.hostname,
        ip: row.ip,
        version: row.version,
        first_connected: new Date(row.first_ms).toISOString(),
        last_connected: new Date(row.last_ms).toISOString(),
        last_used: row.used_ms === null ? null : new Date(row.used_ms).toISOString(),
        running_tasks: (running.get(`${row.resource_class} ${row.name}`) ?? []).map(({ id }) => id),
      }));
  }

  async #write(): Promise<void> {
    const now = this.#clock.now();
    const isSweep = now - this.#sweptMs > sweepIntervalMs;
    if (this.#heard.size === 0 && (!isSweep || this.#sweptMs === 0)) return;
    // In one order, so that processes that write at once do not wait for each other in a ring.
    const contacts = [...this.#heard].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, contact]) => contact);
    this.#heard = new Map();
    await this.#store.transaction(async ({ db }) => {
      for (const contact of contacts) await putContact(db, contact);
      if (isSweep) await deleteAgentsBefore(db, now - hiddenAfterMs);
    });
    if (isSweep) this.#sweptMs = now;
  }
}
