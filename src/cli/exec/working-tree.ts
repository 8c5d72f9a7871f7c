import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import { type Pack, pack } from "tar-stream";

/**
 * The working tree as it stands, as tar in zstd: what git tracks and what it would track (so uncommitted changes are in, ignored
 * files are out), and `.git` itself, so that the job can ask git things. Without git: every file.
 */
export function openWorkingTree(directory: string, signal: AbortSignal): Readable {
  const tar = pack();
  const compressed = createZstdCompress();
  const done = pipeline(tar, compressed, { signal });
  done.catch(() => {});
  packTree(directory, tar, signal).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  );
  return compressed;
}

async function packTree(directory: string, tar: Pack, signal: AbortSignal): Promise<void> {
  const tracked = await listTracked(directory);
  const paths = tracked ? [...tracked, ...(await listAll(directory, ".git"))] : await listAll(directory, "");
  for (const path of paths) {
    signal.throwIfAborted();
    await packEntry(directory, path, tar);
  }
}

/** Undefined where the directory is no git working tree, or there is no git. */
async function listTracked(directory: string): Promise<string[] | undefined> {
  const git = spawn(
    "git",
    ["-C", directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const exited = new Promise<number | null>((resolve) => {
    git.once("error", () => resolve(null));
    git.once("close", resolve);
  });
  const [listing, code] = await Promise.all([buffer(git.stdout), exited]);
  return code === 0 ? listing.toString("utf8").split("\0").filter(Boolean) : undefined;
}

async function listAll(directory: string, below: string): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true }).catch(() => []);
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    paths.push(path);
    if (entry.isDirectory()) paths.push(...(await listAll(directory, path)));
  }
  return paths;
}

/** One entry. What vanished meanwhile, or is no file, directory or symlink, is left out: a tree in use moves. */
async function packEntry(directory: string, path: string, tar: Pack): Promise<void> {
  const file = join(directory, path);
  const stat = await lstat(file).catch(() => undefined);
  if (!stat) return;
  const common = { name: path, mode: stat.mode & 0o777, mtime: stat.mtime };
  if (stat.isSymbolicLink()) tar.entry({ ...common, type: "symlink", linkname: await readlink(file) });
  else if (stat.isDirectory()) tar.entry({ ...common, type: "directory" });
  else if (stat.isFile()) {
    if (stat.size === 0) tar.entry({ ...common, type: "file" }, "");
    else
      await pipeline(
        createReadStream(file, { end: stat.size - 1 }),
        tar.entry({ ...common, type: "file", size: stat.size }),
      );
  }
}
