import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ControlPlaneError } from "../errors.ts";
import type { BlobStore, StoredBlob } from "./blob-store.ts";
import { checkingStream, chunkBytes, Meter } from "./streams.ts";

/** Blobs as files below a directory. Content is written beside and renamed, so that nobody sees half of it. */
export async function openBlobDirectory(root: string): Promise<BlobStore> {
  const incoming = join(root, "incoming");
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  const file = (key: string): string => pathOf(root, key);
  return {
    put: async (key, content, options) => {
      const target = file(key);
      const temporary = join(incoming, randomUUID());
      try {
        const summary = await write(temporary, content, options);
        await moveInto(temporary, target, key);
        return { key, ...summary };
      } catch (error) {
        await rm(temporary, { force: true });
        throw inWords(error);
      }
    },
    open: (blob, onCorrupt) => openChecked(file(blob.key), blob, onCorrupt),
    remove: async (key) => await rm(file(key), { force: true }),
    removeAbandoned: (beforeMs) => removeOldFiles(incoming, beforeMs),
    removeBelow: async (prefix) => await rm(file(prefix), { recursive: true, force: true }),
    close: async () => undefined,
  };
}

async function removeOldFiles(directory: string, beforeMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = join(directory, name);
    // Gone meanwhile: its writer was done with it.
    const stats = await stat(file).catch(() => undefined);
    if (stats && stats.mtimeMs < beforeMs) await rm(file, { force: true });
  }
}

function pathOf(root: string, key: string): string {
  const path = resolve(root, key);
  if (!path.startsWith(resolve(root) + sep))
    throw new ControlPlaneError("bad-request", `"${key}" leads out of the store`);
  return path;
}

async function write(
  file: string,
  content: Readable,
  { signal, maxBytes = Number.POSITIVE_INFINITY }: { signal: AbortSignal; maxBytes?: number },
): Promise<Omit<StoredBlob, "key">> {
  const meter = new Meter(maxBytes);
  const target = createWriteStream(file, { flags: "wx", mode: 0o600, highWaterMark: chunkBytes });
  await pipeline(content, meter, target, { signal });
  return meter.summary();
}

async function moveInto(temporary: string, target: string, key: string): Promise<void> {
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await rename(temporary, target);
  } catch (cause) {
    const code = codeOf(cause);
    if (["ENOTDIR", "EEXIST", "EISDIR", "ENOTEMPTY"].includes(code))
      throw new ControlPlaneError(
        "conflict",
        `"${key}" cannot be stored: a part of it is a file already, or it is a directory`,
        {
          cause,
        },
      );
    if (code === "ENAMETOOLONG")
      throw new ControlPlaneError("bad-request", `"${key}" has a name that is too long`, { cause });
    throw cause;
  }
}

async function openChecked(file: string, blob: StoredBlob, onCorrupt: () => void): Promise<Readable | undefined> {
  const size = await sizeOf(file);
  if (size !== blob.sizeBytes) return undefined;
  // Opened before it is answered for, so that a removal from now on does not matter.
  const handle = await open(file);
  const check = checkingStream(blob, onCorrupt);
  const source = createReadStream(file, { fd: handle, highWaterMark: chunkBytes });
  source.on("error", (error) => check.destroy(error));
  check.on("close", () => source.destroy());
  return source.pipe(check);
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error))) return undefined;
    throw error;
  }
}

const troubles: Readonly<Record<string, string>> = {
  ENOSPC: "the disk of the blobs is full; make room on it",
  EDQUOT: "the quota of the blobs' disk is used up; raise it, or make room",
  EROFS: "the disk of the blobs is read-only",
  EIO: "the disk of the blobs fails at writing",
};

/** What is wrong with the disk is said, and may be over at the next try. */
function inWords(error: unknown): unknown {
  const words = troubles[codeOf(error)];
  return words === undefined ? error : new ControlPlaneError("unavailable", words, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
