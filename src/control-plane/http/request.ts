import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { ControlPlaneError } from "../errors.ts";

/** A value of a request in its shape. Throws ControlPlaneError `bad-request` that names the field. */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown, where: "body" | "query"): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const words = parsed.error.issues.slice(0, 5).map(({ path, message }) => `${path.join(".") || where}: ${message}`);
  throw new ControlPlaneError("bad-request", `the request's ${where} is malformed: ${words.join("; ")}`);
}

/** The body as it comes in; nothing of it is held. */
export function streamOf(request: FastifyRequest): Readable {
  return request.body instanceof Readable ? request.body : Readable.from([]);
}

/** Aborts when the caller hangs up before the answer is finished. */
export function hangUpSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) gone.abort(new ControlPlaneError("bad-request", "the caller hung up"));
  });
  return gone.signal;
}
