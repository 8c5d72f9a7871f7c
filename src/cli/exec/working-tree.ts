import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { listTree, packTree } from "../../lib/tree-archive.ts";

/**
 * The working tree as it stands, as tar in zstd: what git tracks and what it would track (so uncommitted changes are in, ignored
 * files are out), and `.git` itself, so that the job can ask git things. Without git: every file.
 */
export function openWorkingTree(directory: string, signal: AbortSignal): Readable {
  return packTree(directory, () => listPaths(directory), signal);
}

async function listPaths(directory: string): Promise<string[]> {
  const tracked = await listTracked(directory);
  return tracked ? [...tracked, ...(await listTree(directory, ".git"))] : await listTree(directory);
}

/** Undefined where the directory is no git working tree, or there is no git. */
async function listTracked(directory: string): Promise<string[] | undefined> {
  const git = spawn("git", ["-C", directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = new Promise<number | null>((resolve) => {
    git.once("error", () => resolve(null));
    git.once("close", resolve);
  });
  const [listing, code] = await Promise.all([buffer(git.stdout), exited]);
  if (code !== 0) return undefined;
  return [...new Set(listing.toString("utf8").split("\0").filter(Boolean))];
}
