import { createHash } from "node:crypto";
import { Transform } from "node:stream";
import { ControlPlaneError } from "../errors.ts";
import type { StoredBlob } from "./blob-store.ts";

export const chunkBytes = 1024 * 1024;

/** Counts and hashes what passes. Fails with ControlPlaneError `too-large` beyond `maxBytes`. */
export class Meter extends Transform {
  readonly #hash = createHash("sha256");
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    super({ readableHighWaterMark: chunkBytes, writableHighWaterMark: chunkBytes });
    this.#maxBytes = maxBytes;
  }

  /** Of all that has passed; once, at the end. */
  summary(): Omit<StoredBlob, "key"> {
    return { sizeBytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#maxBytes)
      return done(
        new ControlPlaneError("too-large", `the body has more than ${this.#maxBytes} bytes, which is the limit`),
      );
    this.#hash.update(chunk);
    done(null, chunk);
  }
}

/** Passes a blob's bytes on, but the last ones only when all of them are what was stored: so nobody gets a wrong blob whole. */
export function checkingStream(blob: StoredBlob, onCorrupt: () => void): Transform {
  const hash = createHash("sha256");
  let last: Buffer | undefined;
  return new Transform({
    readableHighWaterMark: chunkBytes,
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      const before = last;
      last = chunk;
      done(null, before);
    },
    flush: (done) => {
      if (hash.digest("hex") === blob.sha256) return done(null, last);
      onCorrupt();
      done(new Error(`blob ${blob.key} is not what was stored`));
    },
  });
}
