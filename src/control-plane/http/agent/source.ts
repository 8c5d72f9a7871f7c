import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { agentApi, archiveMediaType } from "../../../protocol/agent-api.ts";
import { authenticateTask } from "../../auth/tokens.ts";
import type { Context } from "../../context.ts";
import type { SourceRequest } from "../../control-plane.ts";
import { ControlPlaneError } from "../../errors.ts";
import { findPipeline } from "../../store/pipelines.ts";
import { hangUpSignal, parseRequest } from "../request.ts";

const Query = z.object({
  method: z.enum(["blobless", "full", "shallow"]).default("blobless"),
  depth: z.coerce.number().int().positive().optional(),
});

export function sourceRoutes(server: FastifyInstance, context: Context): void {
  server.get(agentApi.source, async (request, reply) => {
    const task = await authenticateTask(context.store.db, request.headers.authorization);
    const { method, depth } = parseRequest(Query, request.query, "query");
    const pipeline = await findPipeline(context.store.db, task.pipeline_id);
    if (!pipeline) throw new ControlPlaneError("not-found", "the task's pipeline is gone");
    const tree = await context.sources.open({
      pipelineId: pipeline.id,
      vcs: JSON.parse(pipeline.vcs_json) as SourceRequest["vcs"],
      method,
      ...(depth === undefined ? {} : { depth }),
      signal: hangUpSignal(reply),
    });
    return await reply.type(archiveMediaType).send(tree);
  });
}
