import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { ClassChange, type ClassItem, NewClass, operatorApi } from "../../../protocol/operator-api.ts";
import { changeClass, createClass, deleteClass, existing } from "../../classes/classes.ts";
import type { Context } from "../../context.ts";
import { allClasses } from "../../store/access.ts";
import type { Row } from "../../store/schema.ts";
import { parseRequest } from "../request.ts";

const Namespace = z.object({ namespace: z.string().optional() });

export function classRoutes(server: FastifyInstance, context: Context): void {
  server.get(operatorApi.classes, async (request) => {
    const { namespace } = parseRequest(Namespace, request.query, "query");
    const rows = await allClasses(context.store.db);
    const wanted = rows.filter(({ name }) => namespace === undefined || name.startsWith(`${namespace}/`));
    return { items: wanted.map(itemOf) };
  });

  server.post(operatorApi.classes, async (request) => {
    const { resource_class: name, description, settings } = parseRequest(NewClass, request.body, "body");
    return itemOf(await createClass(context, { name, description, settings: settings }));
  });

  for (const force of [false, true])
    server.delete<{ Params: { id: string } }>(
      `${operatorApi.classes}/:id${force ? "/force" : ""}`,
      async ({ params }) => {
        await deleteClass(context, params.id, { force });
        return { message: "deleted" };
      },
    );

  const byName = operatorApi.classByName(":namespace/:name");
  server.get<{ Params: { namespace: string; name: string } }>(byName, async ({ params }) =>
    itemOf(await existing(context.store.db, `${params.namespace}/${params.name}`)),
  );

  server.patch<{ Params: { namespace: string; name: string } }>(byName, async ({ params, body }) => {
    const changes = parseRequest(ClassChange, body, "body");
    return itemOf(await changeClass(context, `${params.namespace}/${params.name}`, changes));
  });
}

function itemOf({ id, name, description, settings_json }: Row<"resource_class">): ClassItem {
  const settings = JSON.parse(settings_json ?? "{}") as ClassItem["settings"];
  return { id, resource_class: name, description, settings };
}
