import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { agentApi, Continuation } from "../../protocol/agent-api.ts";
import { authenticateTask } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import { continueByKey, continueByTask } from "../pipelines/continuation.ts";
import { parseRequest } from "./request.ts";

const bodyLimit = 8 * 1024 * 1024;
const WithKey = Continuation.extend({ "continuation-key": z.string().min(1).max(512) });

/** How a setup workflow goes on: CircleCI's public call, whose key is its authorization, and the same for a task through its channel. */
export function continueRoutes(server: FastifyInstance, context: Context): void {
  server.post("/api/v2/pipeline/continue", { bodyLimit }, async (request) => {
    const { "continuation-key": key, ...continuation } = parseRequest(WithKey, request.body, "body");
    await continueByKey(context, key, continuation);
    return { message: "Accepted." };
  });

  // Before the body is read, too: megabytes of JSON are not for everybody to send.
  const onRequest = async ({ headers }: FastifyRequest) =>
    void (await authenticateTask(context.store.db, headers.authorization));
  server.post(agentApi.continue, { bodyLimit, onRequest }, async (request) => {
    const task = await authenticateTask(context.store.db, request.headers.authorization);
    await continueByTask(context, task, parseRequest(Continuation, request.body, "body"));
    return {};
  });
}
