import type { FastifyInstance, FastifyRequest } from "fastify";
import { authenticateUser } from "../../auth/users.ts";
import type { Context } from "../../context.ts";
import { classRoutes } from "./classes.ts";
import { metricsRoutes } from "./metrics.ts";
import { pipelineRoutes } from "./pipelines.ts";
import { tokenRoutes } from "./tokens.ts";
import { workRoutes } from "./work.ts";

/** What operators do with a control plane, by the command line or any client of CircleCI's runner API. All of it takes a user's token. */
export function operatorRoutes(server: FastifyInstance, context: Context): void {
  server.register(async (routes) => {
    // Before a body is read: megabytes of JSON are not for everybody to send.
    routes.addHook("onRequest", async ({ headers }: FastifyRequest) => {
      await authenticateUser(context.store.db, headers);
    });
    classRoutes(routes, context);
    tokenRoutes(routes, context);
    workRoutes(routes, context);
    metricsRoutes(routes, context);
    pipelineRoutes(routes, context);
  });
}
