import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { agentApi, RecordsResponse } from "../../../protocol/agent-api.ts";
import { Lane } from "../../../protocol/records.ts";
import { authenticateLateTask } from "../../auth/tokens.ts";
import type { Context } from "../../context.ts";
import { ingestRecords } from "../../records/ingest.ts";
import { parseRequest, streamOf } from "../request.ts";

const Query = z.object({ lane: Lane });

export function recordRoutes(server: FastifyInstance, context: Context): void {
  server.post(agentApi.records, async (request) => {
    const task = await authenticateLateTask(context, request.headers.authorization);
    const { lane } = parseRequest(Query, request.query, "query");
    return RecordsResponse.parse(await ingestRecords(context, { task, lane, body: streamOf(request) }));
  });
}
