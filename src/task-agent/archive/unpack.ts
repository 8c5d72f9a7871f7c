import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  lutimesSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { ArchiveError, blockBytes, type Header, padded, readHeader } from "./header.ts";
import { applyPax, type Overrides } from "./pax.ts";
import { Root } from "./root.ts";

export interface UnpackOptions {
  /** Absolute. Nothing is written outside it. */
  root: string;
  /** Devices and fifos are not made. */
  onSkipped: (name: string, reason: string) => void;
}

/** Nobody's archive; a bomb's. */
const maxEntries = 5_000_000;
const maxMetaBytes = 1024 * 1024;
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** What the next bytes are. */
type Reading =
  | { what: "headers" }
  | { what: "file"; fd: number; left: number; padding: number; mtime: number }
  | { what: "meta"; header: Header; left: number; padding: number; chunks: Buffer[] }
  | { what: "nothing"; left: number }
  | { what: "end" };

/**
 * Extracts a tar as it comes. Everything is made inside the root: names with `..` and absolute ones are refused, no link
 * that leads out is written through, and neither devices nor setuid bits nor owners are restored. Throws ArchiveError,
 * and what the file system says.
 */
export class Unpacker {
  entries = 0;
  bytes = 0;
  readonly #options: UnpackOptions;
  readonly #root: Root;
  readonly #umask = process.umask();
  #reading: Reading = { what: "headers" };
  /** Part of a header that came at the end of a chunk. */
  #rest: Buffer = Buffer.alloc(0);
  #overrides: Overrides = {};

  constructor(options: UnpackOptions) {
    this.#options = options;
    this.#root = new Root(options.root);
  }

  write(chunk: Buffer): void {
    let bytes = this.#rest.byteLength > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = Buffer.alloc(0);
    while (bytes.byteLength > 0) {
      const used = this.#consume(bytes);
      if (used === 0) {
        this.#rest = Buffer.from(bytes);
        return;
      }
      bytes = bytes.subarray(used);
    }
  }

  /** Throws where the archive was cut off. */
  end(): void {
    const reading = this.#reading;
    if (reading.what !== "end" && (reading.what !== "headers" || this.#rest.byteLength > 0)) {
      this.close();
      throw new ArchiveError("it ends early");
    }
    this.#root.finish();
  }

  /** After a failure. */
  close(): void {
    if (this.#reading.what === "file") closeSync(this.#reading.fd);
    this.#reading = { what: "end" };
  }

  /** How many of the bytes were used; 0: more are needed. */
  #consume(bytes: Buffer): number {
    const reading = this.#reading;
    switch (reading.what) {
      case "headers":
        return this.#header(bytes);
      case "file":
        return this.#content(reading, bytes);
      case "meta":
        return this.#meta(reading, bytes);
      case "nothing": {
        const used = Math.min(reading.left, bytes.byteLength);
        reading.left -= used;
        if (reading.left === 0) this.#reading = { what: "headers" };
        return used;
      }
      default:
        // Whatever stands behind the end.
        return bytes.byteLength;
    }
  }

  #header(bytes: Buffer): number {
    if (bytes.byteLength < blockBytes) return 0;
    const header = readHeader(bytes.subarray(0, blockBytes));
    if (!header) this.#reading = { what: "end" };
    else this.#begin(header);
    return blockBytes;
  }

  #begin(raw: Header): void {
    const padding = padded(raw.sizeBytes) - raw.sizeBytes;
    if (["pax", "global-pax", "long-name", "long-link"].includes(raw.type)) {
      if (raw.sizeBytes > maxMetaBytes) throw new ArchiveError(`it has a name of ${raw.sizeBytes} bytes`);
      this.#reading = { what: "meta", header: raw, left: raw.sizeBytes, padding, chunks: [] };
      if (raw.sizeBytes === 0) this.#reading = { what: "headers" };
      return;
    }
    const header = { ...raw, ...this.#overrides };
    this.#overrides = {};
    this.entries += 1;
    if (this.entries > maxEntries) throw new ArchiveError(`it has over ${maxEntries} entries`);
    this.#make(header);
  }

  #make(header: Header): void {
    switch (header.type) {
      case "file":
        return this.#file(header);
      case "directory":
        this.#root.directory(header.name, header);
        return this.#skip(header.sizeBytes);
      case "symlink":
        this.#root.place(header.name, (path) => {
          symlinkSync(Buffer.from(header.linkName, "latin1"), path);
          lutimesSync(path, header.mtime, header.mtime);
        });
        this.#root.forget();
        return this.#skip(header.sizeBytes);
      case "link": {
        const target = this.#root.existingFile(header.linkName);
        if (!target.equals(this.#root.pathOf(header.name)))
          this.#root.place(header.name, (path) => linkSync(target, path));
        return this.#skip(header.sizeBytes);
      }
      default:
        this.#options.onSkipped(header.name, `entries of type ${JSON.stringify(header.flag)} are not restored`);
        return this.#skip(header.sizeBytes);
    }
  }

  #file(header: Header): void {
    const mode = header.mode & 0o777;
    let fd = -1;
    this.#root.place(header.name, (path) => {
      fd = openSync(path, createFlags, mode);
    });
    if ((mode & this.#umask) !== 0) fchmodSync(fd, mode);
    const left = header.sizeBytes;
    const reading: Reading = { what: "file", fd, left, padding: padded(left) - left, mtime: header.mtime };
    this.#reading = reading;
    this.bytes += left;
    if (left === 0) this.#finishFile(reading);
  }

  #content(reading: Extract<Reading, { what: "file" }>, bytes: Buffer): number {
    const count = Math.min(reading.left, bytes.byteLength);
    for (let written = 0; written < count; ) written += writeSync(reading.fd, bytes, written, count - written);
    reading.left -= count;
    if (reading.left === 0) this.#finishFile(reading);
    return count;
  }

  #finishFile(reading: Extract<Reading, { what: "file" }>): void {
    futimesSync(reading.fd, reading.mtime, reading.mtime);
    closeSync(reading.fd);
    this.#skip(reading.padding, 0);
  }

  #meta(reading: Extract<Reading, { what: "meta" }>, bytes: Buffer): number {
    const count = Math.min(reading.left, bytes.byteLength);
    reading.chunks.push(Buffer.from(bytes.subarray(0, count)));
    reading.left -= count;
    if (reading.left > 0) return count;
    const content = Buffer.concat(reading.chunks);
    const text = content.toString("latin1").replace(/\0+$/, "");
    if (reading.header.type === "pax") applyPax(content, this.#overrides);
    else if (reading.header.type === "long-name") this.#overrides.name = text;
    else if (reading.header.type === "long-link") this.#overrides.linkName = text;
    this.#skip(reading.padding, 0);
    return count;
  }

  #skip(sizeBytes: number, padding = padded(sizeBytes) - sizeBytes): void {
    const left = sizeBytes + padding;
    this.#reading = left > 0 ? { what: "nothing", left } : { what: "headers" };
  }
}
