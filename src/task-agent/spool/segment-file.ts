import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

let count = 0;

/** A part of the spool on disk. It has no name, and closes itself once it is sealed and all in it is released. */
export class SegmentFile {
  readonly #fd: number;
  #size = 0;
  #records = 0;
  #sealed = false;
  #closed = false;

  constructor(directory: string) {
    count += 1;
    const path = join(directory, `spool-${process.pid}-${count}`);
    this.#fd = openSync(path, "wx+", 0o600);
    unlinkSync(path);
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Returns where the bytes begin. Throws where the disk is full; then nothing was added. */
  append(bytes: Buffer): number {
    const offset = this.#size;
    for (let written = 0; written < bytes.byteLength; )
      written += writeSync(this.#fd, bytes, written, bytes.byteLength - written, offset + written);
    this.#size += bytes.byteLength;
    this.#records += 1;
    return offset;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (count === 0) throw new Error("the spool file ended early: something in the container truncated it");
      done += count;
    }
    return bytes;
  }

  release(): void {
    this.#records -= 1;
    this.#closeWhenDone();
  }

  seal(): void {
    this.#sealed = true;
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (!this.#sealed || this.#records > 0 || this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
