import { chmod } from "node:fs/promises";
import { type FastifyInstance, fastify, LogController } from "fastify";
import type { Context } from "../context.ts";
import type { ListenAddress } from "../control-plane.ts";
import type { QueueWaiters } from "../queue/queue.ts";
import { blobRoutes } from "./agent/blobs.ts";
import { claimRoutes } from "./agent/claims.ts";
import { imagePinRoutes } from "./agent/image-pins.ts";
import { recordRoutes } from "./agent/records.ts";
import { sourceRoutes } from "./agent/source.ts";
import { continueRoutes } from "./continue.ts";
import { answerErrors } from "./errors.ts";
import { healthRoutes } from "./health.ts";
import { operatorRoutes } from "./operator/routes.ts";
import { orbRoutes } from "./orbs/routes.ts";
import type { Certificate } from "./tls.ts";
import { boundTokenTries } from "./token-tries.ts";

const jsonBodyBytes = 1024 * 1024;

/** The HTTP server with all its routes, not listening yet. */
export function createServer(
  context: Context,
  waiters: QueueWaiters,
  { logLevel, certificate }: { logLevel: string; certificate?: Certificate | undefined },
): FastifyInstance {
  const server = fastify({
    ...(certificate ? { https: certificate } : {}),
    // Where nothing is logged, the logger is not even loaded.
    logger:
      logLevel === "silent"
        ? false
        : {
            level: logLevel,
            stream: process.stderr,
            redact: ["req.headers.authorization", 'req.headers["circle-token"]'],
          },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: jsonBodyBytes,
    // Uploads take as long as they take; calls that wait for work are held for a minute.
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    forceCloseConnections: "idle",
    // Shapes are checked by zod. Fastify's own compilers would take longer to load than all the rest of it.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    routerOptions: { maxParamLength: 500 },
  });
  answerErrors(server);
  boundTokenTries(server, context);
  healthRoutes(server, context);
  claimRoutes(server, context, waiters);
  imagePinRoutes(server, context);
  continueRoutes(server, context);
  orbRoutes(server, context);
  operatorRoutes(server, context);
  server.register(async (streams) => {
    // Bodies are handed on as they come in, whatever their type and size: nothing is held in memory.
    streams.removeAllContentTypeParsers();
    streams.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    recordRoutes(streams, context);
    blobRoutes(streams, context);
    sourceRoutes(streams, context);
  });
  return server;
}

function noCompiler(): never {
  throw new Error("routes have no JSON schemas here: check with zod");
}

export async function listen(
  server: FastifyInstance,
  address: { socketPath: string } | { host: string; port: number },
): Promise<ListenAddress> {
  if (!("socketPath" in address)) return { url: await server.listen(address) };
  await server.listen({ path: address.socketPath });
  await chmod(address.socketPath, 0o600);
  return { url: "http://localhost", socketPath: address.socketPath };
}
