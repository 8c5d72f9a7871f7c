import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { NewClassToken, operatorApi, type TokenItem } from "../../../protocol/operator-api.ts";
import { createToken, existing } from "../../classes/classes.ts";
import type { Context } from "../../context.ts";
import { ControlPlaneError } from "../../errors.ts";
import { deleteClassToken, tokensOfClass } from "../../store/access.ts";
import type { Row } from "../../store/schema.ts";
import { parseRequest } from "../request.ts";

const OfClass = z.object({ "resource-class": z.string() });

export function tokenRoutes(server: FastifyInstance, context: Context): void {
  const { store } = context;

  server.get(operatorApi.tokens, async (request) => {
    const { "resource-class": name } = parseRequest(OfClass, request.query, "query");
    await existing(store.db, name);
    return { items: (await tokensOfClass(store.db, name)).map(itemOf) };
  });

  server.post(operatorApi.tokens, async (request) => {
    const { resource_class, nickname } = parseRequest(NewClassToken, request.body, "body");
    const { row, token } = await createToken(context, resource_class, nickname);
    return { ...itemOf(row), token: token.reveal() };
  });

  server.delete<{ Params: { id: string } }>(`${operatorApi.tokens}/:id`, async ({ params }) => {
    const isGone = await store.transaction((unit) => deleteClassToken(unit.db, params.id));
    if (!isGone) throw new ControlPlaneError("not-found", `there is no token with the id ${params.id}`);
    return { message: "deleted" };
  });
}

function itemOf({ id, resource_class, nickname, created_ms }: Row<"class_token">): TokenItem {
  return { id, resource_class, nickname, created_at: new Date(created_ms).toISOString() };
}
