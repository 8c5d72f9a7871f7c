import type { Secret } from "../../lib/secret.ts";
import { className } from "../../protocol/resource-class.ts";
import { newToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { SaidSettings, WantedClass } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { retireClass } from "../queue/retire.ts";
import {
  findClass,
  insertClass,
  insertClassToken,
  putResourceClass,
  tokensOfClass,
  updateClass,
} from "../store/access.ts";
import type { Row } from "../store/schema.ts";
import { countTasks } from "../store/tasks.ts";
import { changeSettings, parseSettings } from "./settings.ts";

type Needed = Pick<Context, "store" | "clock" | "newId">;

/** Makes a class, or has it be as it is wanted now. Throws ControlPlaneError `bad-request`. */
export async function putClass(context: Needed, wanted: WantedClass): Promise<Row<"resource_class">> {
  const row = newRow(context, wanted);
  return await context.store.transaction(async (unit) => {
    await putResourceClass(unit.db, row);
    return await existing(unit.db, wanted.name);
  });
}

/** Throws ControlPlaneError: `bad-request`, or `conflict` when there is one of this name. */
export async function createClass(context: Needed, wanted: WantedClass): Promise<Row<"resource_class">> {
  const row = newRow(context, wanted);
  const isNew = await context.store.transaction((unit) => insertClass(unit.db, row));
  if (!isNew) throw new ControlPlaneError("conflict", `there is a resource class "${wanted.name}" already; update it`);
  return row;
}

/** Changes what is said of it, and nothing else. Tasks that are queued already keep what they had. Throws ControlPlaneError. */
export async function changeClass(
  context: Needed,
  name: string,
  changes: { description?: string | undefined; settings?: Record<string, unknown> | undefined },
): Promise<Row<"resource_class">> {
  return await context.store.transaction(async (unit) => {
    await unit.lock(`class:${name}`);
    const before = await existing(unit.db, name);
    const settings = changeSettings(JSON.parse(before.settings_json ?? "{}") as SaidSettings, changes.settings ?? {});
    parseSettings(settings);
    const columns = { description: changes.description ?? before.description, settings_json: JSON.stringify(settings) };
    await updateClass(unit.db, name, columns);
    return { ...before, ...columns };
  });
}

/** Forced: with its tokens, and whatever waits for it or runs is cancelled. Throws ControlPlaneError: `not-found`, `conflict`. */
export async function deleteClass(context: Context, id: string, { force }: { force: boolean }): Promise<void> {
  const row = await findClass(context.store.db, { id });
  if (!row) throw new ControlPlaneError("not-found", `there is no resource class with the id ${id}`);
  const tokens = await tokensOfClass(context.store.db, row.name);
  const { queued, running } = await countTasks(context.store.db, row.name);
  if (!force && (tokens.length > 0 || queued + running > 0))
    throw new ControlPlaneError(
      "conflict",
      `resource class "${row.name}" has ${tokens.length} tokens, ${queued} tasks that wait and ${running} that run; force it to end them, too`,
    );
  await retireClass(context, row.name, `its resource class "${row.name}" was deleted`);
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
    throw new ControlPlaneError(
      "bad-request",
      `"${name}" is no class name: write NAMESPACE/NAME, the namespace of a-z 0-9 _ - and the name of A-Z a-z 0-9 : _ + -`,
    );
  if (settings) parseSettings(settings);
  const settings_json = settings ? JSON.stringify(settings) : null;
  return { id: context.newId(), name, description, settings_json, created_ms: context.clock.now() };
}
