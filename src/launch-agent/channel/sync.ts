import { ChannelViolation } from "./violation.ts";

/** What may stand before the marker: the rest of an older attachment, at most what a task agent had under way. */
const longestSkipBytes = 64 * 1024 * 1024;

/** Finds this attachment's own marker in the container's output, and lets through what follows it. */
export class SyncSearch {
  readonly #marker: Buffer;
  #tail: Buffer = Buffer.alloc(0);
  #skippedBytes = 0;
  #found = false;

  constructor(marker: Buffer) {
    this.#marker = marker;
  }

  get found(): boolean {
    return this.#found;
  }

  /** The bytes of `chunk` that belong to this attachment. */
  push(chunk: Buffer): Buffer {
    if (this.#found) return chunk;
    const bytes = this.#tail.byteLength === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const start = bytes.indexOf(this.#marker);
    if (start >= 0) {
      this.#found = true;
      this.#tail = Buffer.alloc(0);
      return bytes.subarray(start + this.#marker.byteLength);
    }
    this.#skippedBytes += chunk.byteLength;
    if (this.#skippedBytes > longestSkipBytes) {
      throw new ChannelViolation(`no answer to the sync marker within ${longestSkipBytes} bytes`);
    }
    // A copy: a view would keep the whole chunk alive.
    this.#tail = Buffer.from(bytes.subarray(Math.max(0, bytes.byteLength - this.#marker.byteLength + 1)));
    return Buffer.alloc(0);
  }
}
