import type { FastifyInstance, FastifyRequest } from "fastify";
import { agentApi } from "../../protocol/agent-api.ts";
import { TokenTries } from "../auth/token-tries.ts";
import type { Context } from "../context.ts";

const ours = "/api/agent/v1/";
const ofTasks: ReadonlySet<string> = new Set([agentApi.unclaim, agentApi.taskConfig, agentApi.fail]);
const ofClasses: ReadonlySet<string> = new Set([
  agentApi.class,
  agentApi.session,
  agentApi.closeSession,
  agentApi.adopt,
  agentApi.launchAgent,
]);

/**
 * Every call with a token that people hand on: of a user, or of a class. Those of tasks are made here, for one attempt each, and nobody is to
 * lose a task because of what else comes from its address.
 */
export function boundTokenTries(server: FastifyInstance, { clock }: Pick<Context, "clock">): void {
  const tries = new TokenTries(clock);
  // By the time of the answer the caller may have gone, and its socket with it.
  const came = new WeakMap<FastifyRequest, Tried>();
  server.addHook("onRequest", async (request) => {
    const tried = tokenOf(request);
    if (!tried) return;
    came.set(request, tried);
    tries.expectFew(tried.address, tried.token);
  });
  server.addHook("onSend", async (request, { statusCode }) => {
    const tried = came.get(request);
    if (tried && statusCode === 401) tries.wasWrong(tried.address, tried.token);
    if (tried && statusCode < 400) tries.wasRight(tried.token);
  });
}

interface Tried {
  address: string;
  token: string;
}

/** Undefined where there is none to bound, or nobody else could come: on a socket of this machine. */
function tokenOf(request: FastifyRequest): Tried | undefined {
  const { headers, routeOptions, socket } = request;
  const url = routeOptions.url ?? "";
  const token = headers["circle-token"] ?? headers.authorization;
  if (typeof token !== "string" || socket.remoteAddress === undefined) return undefined;
  if (ofTasks.has(url) || (url.startsWith(ours) && !ofClasses.has(url))) return undefined;
  return { address: socket.remoteAddress, token };
}
