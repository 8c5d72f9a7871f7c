import { randomUUID } from "node:crypto";
import { chmod, link, readFile, rm, writeFile } from "node:fs/promises";
import type { Clock } from "../../lib/clock.ts";
import type { Store } from "../store/store.ts";
import { findUserToken, putUserToken } from "../store/users.ts";
import { hashToken, newToken } from "./tokens.ts";

const admin = "admin";
const minCharacters = 32;

/**
 * Makes the administrator's token at the first start, into a file that its owner alone can read; the store keeps its hash. Later the file decides,
 * where it is: whoever writes another token into it has changed the token by the next start. A file that was taken away changes nothing.
 * Throws an Error for a file that holds no token.
 */
export async function ensureAdminToken(file: string, { store, clock }: { store: Store; clock: Clock }): Promise<void> {
  const known = await findUserToken(store.db, { name: admin });
  const token = (await readToken(file)) ?? (known ? undefined : await makeToken(file));
  if (token === undefined) return;
  // A secret that somebody mounts is read-only, and theirs to guard.
  await chmod(file, 0o600).catch((error: unknown) => {
    if (!hasCode(error, "EROFS") && !hasCode(error, "EPERM")) throw error;
  });
  const hash = hashToken(token);
  if (known?.hash === hash) return;
  const row = { id: randomUUID(), name: admin, hash, created_ms: clock.now() };
  await store.transaction((unit) => putUserToken(unit.db, row));
}

async function readToken(file: string): Promise<string | undefined> {
  let token: string;
  try {
    token = (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  if (token.length >= minCharacters && /^[\w~+/.=-]+$/.test(token)) return token;
  throw new Error(
    `${file} holds no token: it has to be one word of at least ${minCharacters} letters and digits. Remove the file to keep the token that was used before`,
  );
}

/** By link, which makes the whole file at once or not at all: of several processes that start together, all take the one's token. */
async function makeToken(file: string): Promise<string | undefined> {
  const temporary = `${file}.${randomUUID()}`;
  await writeFile(temporary, `${newToken().token.reveal()}\n`, { mode: 0o600, flag: "wx" });
  try {
    await link(temporary, file);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(temporary);
  }
  return await readToken(file);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
