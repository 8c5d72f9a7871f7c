import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { blockBytes, type Header, headerBytes, padded, writeHeader } from "./header.ts";

/** What goes into an archive: `path` on disk, `name` in the archive, empty for its root. Both are latin1 strings that stand for bytes. */
export interface Source {
  path: string;
  name: string;
}

export interface PackOptions {
  /** What is no file, directory or link is left out, and so is what vanishes meanwhile. */
  onSkipped: (path: string, reason: string) => void;
}

export interface PackTotals {
  entries: number;
  bytes: number;
}

const chunkBytes = 512 * 1024;
/** A turn of the event loop at least this often. */
const entriesPerChunk = 512;

/**
 * The tar of these sources, directories with all that is in them, in chunks. Reads synchronously: a call costs
 * microseconds, a trip through the thread pool ten times that. Whoever takes a chunk gives the event loop a turn.
 */
export function* pack(sources: Iterable<Source>, options: PackOptions): Generator<Buffer, PackTotals, undefined> {
  const packer = new Packer(options);
  for (const source of sources) yield* packer.add(source);
  yield packer.end();
  return packer.totals;
}

class Packer {
  readonly totals: PackTotals = { entries: 0, bytes: 0 };
  readonly #options: PackOptions;
  /** First names of files that have several. */
  readonly #links = new Map<string, string>();
  #chunk = Buffer.allocUnsafe(chunkBytes);
  #used = 0;
  #entries = 0;

  constructor(options: PackOptions) {
    this.#options = options;
  }

  *add(source: Source): Generator<Buffer, void, undefined> {
    // Children are named by their parent's, so a stack of what is left to do is all that a tree needs.
    const todo = [source];
    for (let next = todo.pop(); next; next = todo.pop()) {
      const stats = this.#attempt(next.path, (path) => lstatSync(path));
      if (!stats) continue;
      if (stats.isDirectory()) {
        const names = this.#attempt(next.path, (path) => readdirSync(path, "latin1"));
        if (!names) continue;
        if (next.name !== "") yield* this.#header({ ...base(next, stats), type: "directory", name: `${next.name}/` });
        for (const name of names.sort().toReversed()) todo.push(child(next, name));
      } else yield* this.#leaf(next, stats);
    }
  }

  end(): Buffer {
    const end = Buffer.concat([this.#chunk.subarray(0, this.#used), Buffer.alloc(2 * blockBytes)]);
    this.#used = 0;
    return end;
  }

  *#leaf(source: Source, stats: Stats): Generator<Buffer, void, undefined> {
    if (stats.isSymbolicLink()) {
      const linkName = this.#attempt(source.path, (path) => readlinkSync(path, "latin1"));
      if (linkName !== undefined) yield* this.#header({ ...base(source, stats), type: "symlink", linkName });
      return;
    }
    if (!stats.isFile()) {
      this.#options.onSkipped(source.path, "it is no file, directory or link");
      return;
    }
    const id = stats.nlink > 1 ? `${stats.dev}:${stats.ino}` : undefined;
    const first = id === undefined ? undefined : this.#links.get(id);
    if (first !== undefined) yield* this.#header({ ...base(source, stats), type: "link", linkName: first });
    else if ((yield* this.#file(source)) && id !== undefined) this.#links.set(id, source.name);
  }

  *#file(source: Source): Generator<Buffer, boolean, undefined> {
    // A fifo that has taken the file's place must not make us wait for a writer.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const fd = this.#attempt(source.path, (path) => openSync(path, flags));
    if (fd === undefined) return false;
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) return false;
      yield* this.#header({ ...base(source, stats), type: "file", sizeBytes: stats.size });
      yield* this.#content(fd, stats.size);
      this.totals.bytes += stats.size;
      return true;
    } finally {
      closeSync(fd);
    }
  }

  /** Exactly so many bytes, whatever happens to the file meanwhile: what it lost is zeros, what it gained is left out. */
  *#content(fd: number, sizeBytes: number): Generator<Buffer, void, undefined> {
    let left = sizeBytes;
    while (left > 0) {
      if (this.#used === chunkBytes) yield this.#flush();
      const room = Math.min(left, chunkBytes - this.#used);
      const count = readSync(fd, this.#chunk, this.#used, room, null);
      if (count === 0) this.#chunk.fill(0, this.#used, this.#used + room);
      this.#used += count || room;
      left -= count || room;
    }
    yield* this.#zeros(padded(sizeBytes) - sizeBytes);
  }

  *#zeros(count: number): Generator<Buffer, void, undefined> {
    if (chunkBytes - this.#used < count) yield this.#flush();
    this.#chunk.fill(0, this.#used, this.#used + count);
    this.#used += count;
  }

  *#header(header: Omit<Header, "flag">): Generator<Buffer, void, undefined> {
    this.#entries += 1;
    this.totals.entries += 1;
    if (chunkBytes - this.#used < headerBytes(header) || this.#entries >= entriesPerChunk) yield this.#flush();
    this.#used = writeHeader(this.#chunk, this.#used, header);
  }

  #flush(): Buffer {
    const full = this.#chunk.subarray(0, this.#used);
    this.#chunk = Buffer.allocUnsafe(chunkBytes);
    this.#used = 0;
    this.#entries = 0;
    return full;
  }

  #attempt<T>(path: string, act: (path: Buffer) => T): T | undefined {
    try {
      return act(Buffer.from(path, "latin1"));
    } catch (error) {
      this.#options.onSkipped(path, (error as NodeJS.ErrnoException).code ?? String(error));
      return undefined;
    }
  }
}

function child(parent: Source, name: string): Source {
  const slash = parent.path.endsWith("/") ? "" : "/";
  return { path: `${parent.path}${slash}${name}`, name: parent.name === "" ? name : `${parent.name}/${name}` };
}

function base(source: Source, stats: Stats): Omit<Header, "flag" | "type"> {
  return { name: source.name, linkName: "", mode: stats.mode & 0o7777, sizeBytes: 0, mtime: stats.mtimeMs / 1000 };
}
