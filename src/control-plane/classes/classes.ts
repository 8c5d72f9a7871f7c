import type { Secret } from "../../lib/secret.ts";
import { newToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { WantedClass } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { findClass, insertClassToken, putResourceClass } from "../store/access.ts";
import type { Row } from "../store/schema.ts";
import { parseSettings } from "./settings.ts";

type Needed = Pick<Context, "store" | "clock" | "newId">;

/** CircleCI's characters, and capitals in the namespace, too. */
const className = /^[\w.-]{1,100}\/[\w.:+-]{1,100}$/;

/** Makes a class, or has it be as it is wanted now. Throws ControlPlaneError `bad-request`. */
export async function putClass(context: Needed, wanted: WantedClass): Promise<Row<"resource_class">> {
  const row = newRow(context, wanted);
  return await context.store.transaction(async (unit) => {
    await putResourceClass(unit.db, row);
    return await existing(unit.db, wanted.name);
  });
}

/** A new token for claiming tasks of a class. Throws ControlPlaneError `not-found`. */
export async function createToken(
  context: Needed,
  resourceClass: string,
  nickname: string,
): Promise<{ row: Row<"class_token">; token: Secret }> {
  const { token, hash } = newToken();
  const row = { id: context.newId(), resource_class: resourceClass, nickname, hash, created_ms: context.clock.now() };
  await context.store.transaction(async (unit) => {
    await existing(unit.db, resourceClass);
    await insertClassToken(unit.db, row);
  });
  return { row, token };
}

/** Throws ControlPlaneError `not-found`. */
export async function existing(db: Context["store"]["db"], name: string): Promise<Row<"resource_class">> {
  const row = await findClass(db, { name });
  if (row) return row;
  throw new ControlPlaneError("not-found", `there is no resource class "${name}"; create it first`);
}

function newRow(context: Needed, { name, description = "", settings }: WantedClass): Row<"resource_class"> {
  if (!className.test(name))
    throw new ControlPlaneError("bad-request", `"${name}" is no class name: it has the form namespace/name`);
  if (settings) parseSettings(settings);
  const settings_json = settings ? JSON.stringify(settings) : null;
  return { id: context.newId(), name, description, settings_json, created_ms: context.clock.now() };
}
