import type { FastifyInstance } from "fastify";
import { operatorApi } from "../../../protocol/operator-api.ts";
import type { Context } from "../../context.ts";
import { allClasses } from "../../store/access.ts";
import { type QueueLoad, queueLoads } from "../../store/tasks.ts";

const idle = { queued: 0, running: 0, oldestMs: null };

/** What a queue is at, for Prometheus: with a user's token like all that operators ask, as it names every class. */
export function metricsRoutes(server: FastifyInstance, context: Context): void {
  const { db } = context.store;

  server.get(operatorApi.metrics, async (_request, reply) => {
    // Few control planes are asked, and one in another program never is.
    // A bundle knows what is in it by this name alone.
    const { default: prometheus } = await import("prom-client");
    const { Gauge, Registry } = prometheus;
    const registry = new Registry();
    const now = context.clock.now();
    const loads = new Map<string, Omit<QueueLoad, "queue">>((await queueLoads(db)).map((load) => [load.queue, load]));
    // One without tasks says so: a line that is missing looks like a control plane that is.
    for (const { name } of await allClasses(db)) if (!loads.has(name)) loads.set(name, idle);
    const gauge = (name: string, help: string, value: (load: Omit<QueueLoad, "queue">) => number): void => {
      const made = new Gauge({ name, help, labelNames: ["resource_class"], registers: [registry] });
      for (const [resourceClass, load] of loads) made.set({ resource_class: resourceClass }, value(load));
    };
    gauge("cofferdam_queue_tasks", "Tasks in the queue.", ({ queued }) => queued);
    gauge(
      "cofferdam_queue_oldest_wait_seconds",
      "How long the one that has waited longest is in the queue; 0: there is none.",
      ({ oldestMs }) => (oldestMs === null ? 0 : Math.max(0, now - oldestMs) / 1000),
    );
    gauge("cofferdam_queue_running_tasks", "Tasks that agents have.", ({ running }) => running);
    return await reply.type(registry.contentType).send(await registry.metrics());
  });
}
