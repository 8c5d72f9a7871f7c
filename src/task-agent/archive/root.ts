import { chmodSync, lstatSync, mkdirSync, realpathSync, rmdirSync, statSync, unlinkSync, utimesSync } from "node:fs";
import { makeDirectory } from "../workspace/make-directory.ts";
import { ArchiveError } from "./header.ts";

interface MadeDirectory {
  path: Buffer;
  mode: number;
  mtime: number;
}

/**
 * Names of an archive as paths below one directory. A name's parent is looked at with all links resolved, and has to be
 * inside; the last part is never followed. Names are latin1 strings that stand for bytes.
 */
export class Root {
  readonly #real: string;
  /** Parents by name that are known to be inside, with their real paths. */
  readonly #parents = new Map<string, string>();
  /** Their modes come last: a directory may be read-only. */
  readonly #directories: MadeDirectory[] = [];

  constructor(root: string) {
    makeDirectory(root);
    this.#real = realpathSync(root, "latin1");
  }

  /** Makes something, in place of what is there. */
  place(name: string, make: (path: Buffer) => void): void {
    const path = this.pathOf(name);
    try {
      make(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      this.#clear(path, name);
      make(path);
    }
  }

  directory(name: string, { mode, mtime }: { mode: number; mtime: number }): void {
    const segments = segmentsOf(name);
    if (segments.length === 0) return;
    const path = this.pathOf(name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const isDirectory = stats?.isDirectory() ?? false;
    // A link to a directory inside stays what it is: layers are laid over one another.
    if (stats?.isSymbolicLink() && this.#leadsToDirectory(path)) return;
    if (stats && !isDirectory) unlinkSync(path);
    if (!isDirectory) mkdirSync(path, 0o700);
    this.#directories.push({ path, mode: mode & 0o777, mtime });
  }

  /** The path of a plain file that is there, for a hard link to it. */
  existingFile(name: string): Buffer {
    const path = this.pathOf(name);
    if (!lstatSync(path, { throwIfNoEntry: false })?.isFile())
      throw new ArchiveError(`it has a hard link to ${JSON.stringify(name)}, which is no file in it`);
    return path;
  }

  /** Where this name is to be. Makes its parents. */
  pathOf(name: string): Buffer {
    const segments = segmentsOf(name);
    const last = segments.pop();
    if (last === undefined) throw new ArchiveError("it has a file without a name");
    return bytes(join(this.#parent(segments), last));
  }

  /** A link was made: what was known of parents may be wrong. */
  forget(): void {
    this.#parents.clear();
  }

  finish(): void {
    for (const { path, mode, mtime } of this.#directories.toReversed()) {
      try {
        // A later entry may have put a link in its place, and both calls would follow it.
        if (!lstatSync(path).isDirectory()) continue;
        utimesSync(path, mtime, mtime);
        chmodSync(path, mode);
      } catch {
        // One that was there before and belongs to somebody else, or that a later entry has taken away.
      }
    }
  }

  #parent(segments: string[]): string {
    if (segments.length === 0) return this.#real;
    const name = segments.join("/");
    const known = this.#parents.get(name);
    if (known !== undefined) return known;
    const last = segments.at(-1) ?? "";
    const real = this.#enter(join(this.#parent(segments.slice(0, -1)), last), name);
    this.#parents.set(name, real);
    return real;
  }

  #enter(path: string, name: string): string {
    const stats = lstatSync(bytes(path), { throwIfNoEntry: false });
    if (stats?.isDirectory()) return path;
    if (!stats) {
      mkdirSync(bytes(path));
      return path;
    }
    if (!stats.isSymbolicLink())
      throw new ArchiveError(`${JSON.stringify(name)} is a file here, and a directory in it`);
    const real = realpathSync(bytes(path), "latin1");
    if (!this.#isInside(real)) throw new ArchiveError(`${JSON.stringify(name)} is a link out of ${this.#real}`);
    return real;
  }

  #isInside(real: string): boolean {
    return this.#real === "/" || real === this.#real || real.startsWith(`${this.#real}/`);
  }

  #leadsToDirectory(path: Buffer): boolean {
    try {
      return statSync(path).isDirectory() && this.#isInside(realpathSync(path, "latin1"));
    } catch {
      return false;
    }
  }

  #clear(path: Buffer, name: string): void {
    if (!lstatSync(path).isDirectory()) return unlinkSync(path);
    try {
      rmdirSync(path);
      this.#parents.clear();
    } catch (cause) {
      throw new ArchiveError(`${JSON.stringify(name)} is a directory here that is not empty, and a file in it`, {
        cause,
      });
    }
  }
}

/** Longer ones the kernel does not take. */
const maxNameBytes = 4096;

function segmentsOf(name: string): string[] {
  if (name.length > maxNameBytes) throw new ArchiveError(`it has a name of ${name.length} bytes`);
  if (name.startsWith("/")) throw new ArchiveError(`it has an absolute name: ${JSON.stringify(name)}`);
  if (name.includes("\0")) throw new ArchiveError("it has a name with a NUL byte");
  const segments = name.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..")) throw new ArchiveError(`it has a name that leads out of it: ${JSON.stringify(name)}`);
  return segments;
}

function join(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
