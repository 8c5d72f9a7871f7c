import type { FastifyInstance } from "fastify";
import type { Context } from "../context.ts";
import { pingStore } from "../store/ping.ts";

export function healthRoutes(server: FastifyInstance, context: Context): void {
  server.get("/live", () => ({ status: "ok" }));
  server.get("/ready", async (_request, reply) => {
    if (context.closing.aborted) return await reply.code(503).send({ status: "closing" });
    await pingStore(context.store.db);
    return { status: "ok" };
  });
}
