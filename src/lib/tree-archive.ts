import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import { type Pack, pack } from "tar-stream";

/**
 * These paths of a directory as tar in zstd. What vanished meanwhile, or is no file, directory or symlink, is left out: a
 * tree in use moves. Destroying the stream, or the signal, ends the reading.
 */
export function packTree(directory: string, paths: () => Promise<string[]>, signal: AbortSignal): Readable {
  const tar = pack();
  const compressed = createZstdCompress();
  pipeline(tar, compressed, { signal }).catch(() => {});
  packAll(directory, paths, tar, signal).then(
    () => tar.finalize(),
    (error: Error) => compressed.destroy(error),
  );
  return compressed;
}

/** Everything below a folder of a directory, itself not included, each folder before what is in it. */
export async function listTree(directory: string, below = ""): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true }).catch(() => []);
  const paths: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    paths.push(path);
    if (entry.isDirectory()) paths.push(...(await listTree(directory, path)));
  }
  return paths;
}

async function packAll(
  directory: string,
  paths: () => Promise<string[]>,
  tar: Pack,
  signal: AbortSignal,
): Promise<void> {
  for (const path of await paths()) {
    signal.throwIfAborted();
    await packEntry(directory, path, tar);
  }
}

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
