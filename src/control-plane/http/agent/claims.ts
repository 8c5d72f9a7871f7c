import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import {
  AdoptRequest,
  AdoptResponse,
  agentApi,
  ClaimRequest,
  ClaimResponse,
  ClassOfToken,
  FailRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  LaunchAgentRelease,
  OpenSession,
  UnclaimRequest,
} from "../../../protocol/agent-api.ts";
import { authenticateClass, authenticateLateTask, authenticateTask, taskOfToken } from "../../auth/tokens.ts";
import type { Context } from "../../context.ts";
import { ControlPlaneError } from "../../errors.ts";
import { adopt } from "../../queue/adopt.ts";
import { type Claimed, claim, taskDocument } from "../../queue/claim.ts";
import { failTask, heartbeat, unclaim } from "../../queue/leases.ts";
import type { QueueWaiters } from "../../queue/queue.ts";
import { closeSession, openSession } from "../../queue/sessions.ts";
import type { Db } from "../../store/store.ts";
import { hangUpSignal, parseRequest } from "../request.ts";

const maxMessageCharacters = 8192;

/** Getting a task, keeping it, and giving it back. */
export function claimRoutes(server: FastifyInstance, context: Context, waiters: QueueWaiters): void {
  classRoutes(server, context);
  sessionRoutes(server, context);

  server.post(agentApi.claim, async (request, reply) => {
    const { db } = context.store;
    const { authorization } = request.headers;
    const first = await authenticateClass(db, authorization);
    const body = parseRequest(ClaimRequest, request.body, "body");
    const authorizations = [authorization, ...(body.more_tokens ?? []).map((token) => `Bearer ${token}`)];
    const classes = async (now: Db) => await Promise.all(authorizations.map((one) => authenticateClass(now, one)));
    const queues = [...new Set([first, ...(await classes(db))])];
    const heard = hears(context, request, { ...body, queues });
    heard();
    const claimed = await claim(context, waiters, {
      queues,
      request: body,
      signal: hangUpSignal(reply),
      // A token may be taken away while its agent waits.
      authorize: async (now) => void (await classes(now)),
    });
    heard(claimed?.queue);
    if (!claimed) return await reply.code(204).send();
    return ClaimResponse.parse(claimAnswer(context, claimed));
  });

  server.post(agentApi.unclaim, async (request) => {
    const body = parseRequest(UnclaimRequest, request.body, "body");
    const task = await taskOfToken(context.store.db, body.task_token);
    if (task.id !== body.task_id)
      throw new ControlPlaneError("bad-request", `the token is not one of task ${body.task_id}`);
    await unclaim(context, task, body.reason ?? "the agent gave it back");
    return {};
  });

  server.get(agentApi.taskConfig, async (request) => {
    const row = await authenticateTask(context.store.db, request.headers.authorization);
    const task = await taskDocument(context.store, row.id);
    return { task_id: row.id, task };
  });

  server.post(agentApi.fail, async (request) => {
    const task = await authenticateTask(context.store.db, request.headers.authorization);
    const { message } = parseRequest(FailRequest, request.body, "body");
    await failTask(context, task, Buffer.from(message, "base64").toString("utf8").slice(0, maxMessageCharacters));
    return {};
  });

  server.post(agentApi.heartbeat, async (request, reply) => {
    const task = await authenticateLateTask(context, request.headers.authorization);
    if (task.agent !== null) context.agents.heard({ resourceClass: task.queue, name: task.agent });
    const { wait_ms } = parseRequest(HeartbeatRequest, request.body ?? {}, "body");
    const cancel = await heartbeat(context, task, { waitMs: wait_ms, signal: hangUpSignal(reply) });
    return HeartbeatResponse.parse({ lease_ms: context.leaseMs, cancel });
  });
}

/** Which process an agent is, and what it had when it was another one. */
function sessionRoutes(server: FastifyInstance, context: Context): void {
  server.post(agentApi.session, async (request, reply) => {
    const queue = await authenticateClass(context.store.db, request.headers.authorization);
    const body = parseRequest(OpenSession, request.body, "body");
    await openSession(context, { queue, request: body, signal: hangUpSignal(reply) });
    hears(context, request, { ...body, queues: [queue] })();
    return {};
  });

  server.post(agentApi.closeSession, async (request) => {
    const queue = await authenticateClass(context.store.db, request.headers.authorization);
    await closeSession(context, queue, parseRequest(OpenSession, request.body, "body"));
    return {};
  });

  server.post(agentApi.adopt, async (request) => {
    const queue = await authenticateClass(context.store.db, request.headers.authorization);
    const { openSteps, begun, acked, ...claimed } = await adopt(
      context,
      queue,
      parseRequest(AdoptRequest, request.body, "body"),
    );
    return AdoptResponse.parse({ ...claimAnswer(context, claimed), begun, acked, open_steps: openSteps });
  });
}

/** Tells the register who calls; and, where it got a task, of which class. */
function hears(
  { agents }: Context,
  request: FastifyRequest,
  said: { name: string; hostname: string; version: string; ip?: string | undefined; queues: readonly string[] },
): (used?: string) => void {
  const { name, hostname, version, queues } = said;
  const facts = { hostname, ip: said.ip ?? request.ip ?? "", version };
  return (used) => {
    for (const resourceClass of queues)
      agents.heard({ resourceClass, name, facts, used: used !== undefined && used === resourceClass });
  };
}

/** What an agent may know by the token of its class. */
function classRoutes(server: FastifyInstance, context: Context): void {
  server.get(agentApi.class, async (request) => {
    return ClassOfToken.parse({
      resource_class: await authenticateClass(context.store.db, request.headers.authorization),
    });
  });

  server.get(agentApi.launchAgent, async (request) => {
    await authenticateClass(context.store.db, request.headers.authorization);
    const { launchAgentImage: image } = context;
    return LaunchAgentRelease.parse(image === undefined ? {} : { image });
  });
}

function claimAnswer(context: Context, { task, token, queue, waitedMs }: Claimed): z.input<typeof ClaimResponse> {
  return {
    task_token: token.reveal(),
    allocation: `${task.id}.${task.attempt}`,
    agent_version: "",
    resource_class: queue,
    is_enterprise: false,
    lease_ms: context.leaseMs,
    ...(waitedMs === undefined ? {} : { waited_ms: waitedMs }),
    task,
  };
}
