import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { authenticateUser } from "../../auth/users.ts";
import type { Context } from "../../context.ts";
import { parseRequest } from "../request.ts";

/** An orb's text at its longest, written in JSON. */
const bodyLimit = 8 * 1024 * 1024;
const Question = z.object({ query: z.string(), variables: z.record(z.string(), z.unknown()).nullish() });

/**
 * The orb registry, in the GraphQL that CircleCI's own registry speaks: so the same client asks both, an orb is one call, and what
 * CircleCI's command line of version 0 asks about orbs is answered. Like there, what is wrong with a question is said in an answer with status 200.
 */
export function orbRoutes(server: FastifyInstance, context: Context): void {
  // Before the body is read: megabytes of JSON are not for everybody to send.
  const onRequest = async ({ headers }: FastifyRequest) => void (await authenticateUser(context.store.db, headers));
  server.post("/graphql-unstable", { bodyLimit, onRequest }, async (request) => {
    const { query, variables } = parseRequest(Question, request.body, "body");
    // Loaded with the first question: a control plane for one pipeline does not wait for it.
    const [{ executeGraphql }, { orbFields }] = await Promise.all([
      import("../graphql/execute.ts"),
      import("./fields.ts"),
    ]);
    return await executeGraphql(orbFields(context), { query, variables: variables ?? {} });
  });
}
