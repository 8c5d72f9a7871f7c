import { randomUUID } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashToken } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import type { Bootstrap } from "../control-plane.ts";
import { deleteClassToken, findClass, findClassToken, tokensOfClass } from "../store/access.ts";
import { createToken, putClass } from "./classes.ts";

type Needed = Pick<Context, "store" | "clock" | "newId">;

const nickname = "bootstrap";

/**
 * What a first start needs so that nobody has to copy a token by hand. A class that is there stays as it is, a file whose token is good is
 * not touched; of several processes that start together, all take the token of one.
 */
export async function bootstrap(context: Needed, { classes, tokenDirectory }: Bootstrap): Promise<void> {
  if (tokenDirectory !== undefined) await mkdir(tokenDirectory, { recursive: true, mode: 0o700 });
  for (const name of classes) {
    if (!(await findClass(context.store.db, { name }))) await putClass(context, { name });
    if (tokenDirectory !== undefined) await ensureToken(context, name, join(tokenDirectory, name.replace("/", ".")));
  }
}

async function ensureToken(context: Needed, resourceClass: string, file: string): Promise<void> {
  const good = await tokenIn(context, resourceClass, file);
  if (good !== undefined) return await chmod(file, 0o600);
  const { row, token } = await createToken(context, resourceClass, nickname);
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, `${token.reveal()}\n`, { mode: 0o600, flag: "wx" });
  if (!(await takeName(context, { resourceClass, file, temporary }))) await removeToken(context, row.id);
  const kept = await tokenIn(context, resourceClass, file);
  // Those that earlier files held are in nobody's hands any more.
  for (const other of await tokensOfClass(context.store.db, resourceClass))
    if (other.nickname === nickname && other.id !== kept && other.created_ms < row.created_ms)
      await removeToken(context, other.id);
}

/** False when another process was first. */
async function takeName(
  context: Needed,
  { resourceClass, file, temporary }: { resourceClass: string; file: string; temporary: string },
): Promise<boolean> {
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    if ((await tokenIn(context, resourceClass, file)) !== undefined) return false;
    // It holds the token of a store that is no more.
    await rename(temporary, file);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** The id of the class's token that the file holds; undefined for anything else. */
async function tokenIn({ store }: Needed, resourceClass: string, file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const row = await findClassToken(store.db, hashToken(text.trim()));
  return row?.resource_class === resourceClass ? row.id : undefined;
}

async function removeToken({ store }: Needed, id: string): Promise<void> {
  await store.transaction((unit) => deleteClassToken(unit.db, id));
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
