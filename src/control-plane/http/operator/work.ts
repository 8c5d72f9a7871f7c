import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { operatorApi, TaskList } from "../../../protocol/operator-api.ts";
import { existing } from "../../classes/classes.ts";
import type { Context } from "../../context.ts";
import { queueWaitMs } from "../../queue/claim.ts";
import { countTasks, openTasks } from "../../store/tasks.ts";
import { parseRequest } from "../request.ts";

const OfClass = z.object({ "resource-class": z.string() });
const Filter = z.object({ "resource-class": z.string().optional(), namespace: z.string().optional() });
const Listing = Filter.extend({ limit: z.coerce.number().int().min(1).max(10_000).default(1_000) });

/** Who is there, and what there is to do. */
export function workRoutes(server: FastifyInstance, context: Context): void {
  const { db } = context.store;

  server.get(operatorApi.agents, async (request) => {
    const { "resource-class": resourceClass, namespace } = parseRequest(Filter, request.query, "query");
    return { items: await context.agents.list({ resourceClass, namespace }) };
  });

  server.get(operatorApi.unclaimedTasks, async (request) => {
    const { "resource-class": name } = parseRequest(OfClass, request.query, "query");
    await existing(db, name);
    return { unclaimed_task_count: (await countTasks(db, name)).queued };
  });

  server.get(operatorApi.runningTasks, async (request) => {
    const { "resource-class": name } = parseRequest(OfClass, request.query, "query");
    await existing(db, name);
    return { running_runner_tasks: (await countTasks(db, name)).running };
  });

  server.get(operatorApi.tasks, async (request) => {
    const { "resource-class": queue, limit } = parseRequest(Listing, request.query, "query");
    if (queue !== undefined) await existing(db, queue);
    const { queued, running } = await countTasks(db, queue);
    const items = (await openTasks(db, { queue, limit })).map(
      ({ queue: resource_class, node_index: index, queued_ms, claimed_ms, ...task }) => ({
        ...task,
        resource_class,
        index,
        status: task.status === "running" ? "running" : "queued",
        waited_ms: queueWaitMs({ queued_ms }, task.status === "running" ? claimed_ms : context.clock.now()) ?? null,
      }),
    );
    return TaskList.parse({ unclaimed: queued, running, items });
  });
}
