import { finished } from "node:stream/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { agentApi, archiveMediaType, cacheKeyHeader, WorkspaceLayers } from "../../../protocol/agent-api.ts";
import { authenticateTask } from "../../auth/tokens.ts";
import { storeArtifact } from "../../blobs/artifacts.ts";
import { hasCache, restoreCache, saveCache } from "../../blobs/caches.ts";
import { storeTestResults } from "../../blobs/test-results.ts";
import { listLayers, openLayer, persistLayer } from "../../blobs/workspaces.ts";
import type { Context } from "../../context.ts";
import type { Row } from "../../store/schema.ts";
import { hangUpSignal, parseRequest, streamOf } from "../request.ts";

const Key = z.string().min(1).max(900);
const OneKey = z.object({ key: Key });
const Keys = z.object({ key: z.union([Key.transform((key) => [key]), z.array(Key).min(1).max(64)]) });
const OfStep = z.object({ step: z.coerce.number().int().nonnegative() });
const OfPath = z.object({ path: z.string() });

/** Bytes of tasks: caches, workspace layers, artifacts, test results. Streams both ways. */
export function blobRoutes(server: FastifyInstance, context: Context): void {
  cacheRoutes(server, context);
  workspaceRoutes(server, context);

  server.put(agentApi.artifacts, async (request, reply) => {
    const task = await authenticate(context, request);
    const { path } = parseRequest(OfPath, request.query, "query");
    await storeArtifact(context, task, { path, ...upload(request, reply) });
    return await reply.code(201).send({});
  });

  server.put(agentApi.testResults, async (request, reply) => {
    const task = await authenticate(context, request);
    const { step } = parseRequest(OfStep, request.query, "query");
    await storeTestResults(context, task, { step, ...upload(request, reply) });
    return await reply.code(201).send({});
  });
}

function cacheRoutes(server: FastifyInstance, context: Context): void {
  server.head(agentApi.cache, async (request, reply) => {
    const task = await authenticate(context, request);
    const { key } = parseRequest(OneKey, request.query, "query");
    return await reply.code((await hasCache(context, task, key)) ? 200 : 404).send();
  });

  server.get(agentApi.cache, { exposeHeadRoute: false }, async (request, reply) => {
    const task = await authenticate(context, request);
    const { key: keys } = parseRequest(Keys, request.query, "query");
    const found = await restoreCache(context, task, keys);
    if (!found) return await reply.code(204).send();
    // A header holds Latin letters only: so the key is escaped as in an address.
    reply.header(cacheKeyHeader, encodeURIComponent(found.key));
    return await archive(reply, found);
  });

  server.put(agentApi.cache, async (request, reply) => {
    const task = await authenticate(context, request);
    const { key } = parseRequest(OneKey, request.query, "query");
    if (await hasCache(context, task, key)) {
      // Read to its end all the same: a caller that still writes could not read the answer.
      await finished(streamOf(request).resume());
      return await reply.code(200).send({});
    }
    const isFirst = await saveCache(context, task, { key, ...upload(request, reply) });
    return await reply.code(isFirst ? 201 : 200).send({});
  });
}

function workspaceRoutes(server: FastifyInstance, context: Context): void {
  server.get(agentApi.workspace, async (request) => {
    const task = await authenticate(context, request);
    const layers = await listLayers(context, task);
    return WorkspaceLayers.parse({ layers: layers.map(({ id, size_bytes }) => ({ id, sizeBytes: size_bytes })) });
  });

  server.put(agentApi.workspace, async (request, reply) => {
    const task = await authenticate(context, request);
    const { step } = parseRequest(OfStep, request.query, "query");
    await persistLayer(context, task, { step, ...upload(request, reply) });
    return await reply.code(201).send({});
  });

  server.get<{ Params: { layer: string } }>(`${agentApi.workspace}/:layer`, async (request, reply) => {
    const task = await authenticate(context, request);
    return await archive(reply, await openLayer(context, task, request.params.layer));
  });
}

async function authenticate(context: Context, request: FastifyRequest): Promise<Row<"task">> {
  return await authenticateTask(context.store.db, request.headers.authorization);
}

function upload(request: FastifyRequest, reply: FastifyReply) {
  return { content: streamOf(request), signal: hangUpSignal(reply) };
}

async function archive(
  reply: FastifyReply,
  blob: { sizeBytes: number; content: NodeJS.ReadableStream },
): Promise<FastifyReply> {
  return await reply.type(archiveMediaType).header("content-length", blob.sizeBytes).send(blob.content);
}
