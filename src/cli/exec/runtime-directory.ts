import type { Stats } from "node:fs";
import { lstat, mkdir, stat } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { CommandError, exitCode, type Io } from "../io.ts";

/** Holds the sockets of running sessions. */
export function runtimeDirectoryOf(env: Io["env"]): string {
  return join(env["XDG_RUNTIME_DIR"] || join(tmpdir(), `cofferdam-${userInfo().uid}`), "cofferdam");
}

/**
 * Private to the user. Throws CommandError where somebody else could put sockets there: in it, or, by moving it away, in its
 * place; whoever serves a run's socket tells its launch agent what to run.
 */
export async function makeRuntimeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const parent = dirname(directory);
  if (!isOwn(await lstat(directory))) throw notPrivate(directory);
  // Of a link, its owner counts, too: that one could make it lead elsewhere.
  const { uid } = await lstat(parent);
  if (!isTrusted(uid) || !keepsOwn(await stat(parent))) throw notPrivate(parent);
}

function isOwn({ uid, mode }: Stats): boolean {
  return uid === userInfo().uid && (mode & 0o022) === 0;
}

/** Whether nobody else can rename what is ours in this directory. With the sticky bit, as in /tmp, everybody keeps their own. */
function keepsOwn({ uid, mode }: Stats): boolean {
  return isTrusted(uid) && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
}

function isTrusted(uid: number): boolean {
  return uid === userInfo().uid || uid === 0;
}

function notPrivate(directory: string): CommandError {
  return new CommandError(
    `${directory} belongs to or can be written by another user: remove it, or set XDG_RUNTIME_DIR to a directory of your own.`,
    { exitCode: exitCode.usage },
  );
}
