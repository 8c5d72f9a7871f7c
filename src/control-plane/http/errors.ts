import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ApiError } from "../../protocol/agent-api.ts";
import { ControlPlaneError } from "../errors.ts";

/** Every error is answered as ApiError: what the caller did wrong in words, and nothing of ours where it was us. */
export function answerErrors(server: FastifyInstance): void {
  server.setErrorHandler<Error>(async (error, request, reply) => {
    if (error instanceof ControlPlaneError) {
      if (error.code === "unavailable" && error.cause !== undefined)
        request.log.error({ err: error, method: request.method, url: request.url }, "not available for now");
      if (error.retryAfterSeconds !== undefined) reply.header("retry-after", error.retryAfterSeconds);
      return await answer(reply, error.status, { ...error.details, ...apiError(error) });
    }
    const status = statusOf(error);
    if (status < 500) return await answer(reply, status, { code: codeOf(status), message: error.message });
    const facts = { err: error, method: request.method, url: request.url };
    if (reply.raw.destroyed) request.log.info(facts, "the caller hung up");
    else request.log.error(facts, "request failed");
    return await answer(reply, 500, {
      code: "internal",
      message: "the control plane failed at this; its log says why. Try again",
    });
  });
  server.setNotFoundHandler(async (request: FastifyRequest, reply) => {
    const [path] = request.url.split("?");
    return await answer(reply, 404, { code: "not-found", message: `there is no ${request.method} ${path} here` });
  });
}

async function answer(reply: FastifyReply, status: number, body: ApiError): Promise<FastifyReply> {
  // What is still coming of a refused body is not read: the connection ends with the answer.
  if (!reply.request.raw.complete) reply.header("connection", "close");
  return await reply.code(status).type("application/json").send(JSON.stringify(body));
}

function apiError(error: ControlPlaneError): ApiError {
  return { code: error.code, message: error.message };
}

function statusOf(error: Error): number {
  const { statusCode } = error as Partial<FastifyError>;
  return typeof statusCode === "number" && statusCode >= 400 ? statusCode : 500;
}

function codeOf(status: number): string {
  if (status === 413) return "too-large";
  return status === 415 ? "unsupported-media-type" : "bad-request";
}
