import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { ApproveJob, CancelPipeline, operatorApi, Trigger } from "../../../protocol/operator-api.ts";
import { authenticateUser } from "../../auth/users.ts";
import type { Context } from "../../context.ts";
import { ControlPlaneError } from "../../errors.ts";
import { approveJob, cancelPipeline } from "../../pipelines/commands.ts";
import { triggerPipeline } from "../../pipelines/trigger.ts";
import { findPipeline, jobsOfPipeline, pipelineOfNumber } from "../../store/pipelines.ts";
import type { Row } from "../../store/schema.ts";
import { storyOfPipeline } from "../../watch/watch.ts";
import { hangUpSignal, parseRequest } from "../request.ts";

const bodyLimit = 8 * 1024 * 1024;
const Watching = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  output: z.enum(["true", "false"]).default("true"),
});
interface OfPipeline {
  Params: { pipeline: string };
}

export function pipelineRoutes(server: FastifyInstance, context: Context): void {
  server.post(operatorApi.pipelines, { bodyLimit }, async (request, reply) => {
    const trigger = parseRequest(Trigger, request.body, "body");
    const actor = await authenticateUser(context.store.db, request.headers);
    const made = await triggerPipeline(context, trigger, { actor, signal: hangUpSignal(reply) });
    return await reply.code(201).send(made);
  });

  server.get<OfPipeline>(operatorApi.watch(":pipeline"), async (request, reply) => {
    const { after, output } = parseRequest(Watching, request.query, "query");
    const { id } = await pipelineOf(context, request.params.pipeline);
    const options = { signal: hangUpSignal(reply), output: output === "true", after };
    // An empty line says that the line is still good.
    const lines = linesOf(storyOfPipeline(context, id, options));
    return await reply.type("application/x-ndjson").header("cache-control", "no-store").send(Readable.from(lines));
  });

  server.post<OfPipeline>(operatorApi.cancel(":pipeline"), async (request) => {
    const { reason } = parseRequest(CancelPipeline, request.body ?? {}, "body");
    const { id, number } = await pipelineOf(context, request.params.pipeline);
    await cancelPipeline(context, id, reason);
    return { id, number };
  });

  server.post<OfPipeline>(operatorApi.approve(":pipeline"), async (request) => {
    const { job } = parseRequest(ApproveJob, request.body, "body");
    const by = await authenticateUser(context.store.db, request.headers);
    const { id, number } = await pipelineOf(context, request.params.pipeline);
    await approveByName(context, { pipeline: id, job, by });
    return { id, number };
  });
}

async function* linesOf(story: ReturnType<typeof storyOfPipeline>): AsyncGenerator<string, void, undefined> {
  for await (const line of story) yield line === undefined ? "\n" : `${JSON.stringify(line)}\n`;
}

/** By id, or by the number that people are shown. */
async function pipelineOf({ store }: Context, named: string): Promise<Row<"pipeline">> {
  const found = /^\d{1,15}$/.test(named)
    ? await pipelineOfNumber(store.db, Number(named))
    : await findPipeline(store.db, named);
  if (found) return found;
  throw new ControlPlaneError("not-found", `there is no pipeline ${named}`);
}

/** Of several workflows that have a job of this name, those that wait. */
async function approveByName(
  context: Context,
  { pipeline, job, by }: { pipeline: string; job: string; by: string },
): Promise<void> {
  const jobs = (await jobsOfPipeline(context.store.db, pipeline)).filter(({ name }) => name === job);
  if (jobs.length === 0) throw new ControlPlaneError("not-found", `the pipeline has no job "${job}"`);
  const waiting = jobs.filter(({ status }) => status === "on_hold");
  for (const { id } of waiting.length > 0 ? waiting : jobs) await approveJob(context, id, by);
}
