const slabBytes = 64 * 1024;

/**
 * Bytes in order, in slabs of its own. A piece of one byte costs one byte here: what a container sends in millions of
 * tiny frames takes no more memory than the credit that it was given.
 */
export class ByteQueue {
  #slabs: Buffer[] = [];
  /** Where the next byte goes in the last slab. */
  #writeAt = slabBytes;
  #bytes = 0;

  get byteLength(): number {
    return this.#bytes;
  }

  push(piece: Buffer): void {
    let from = 0;
    while (from < piece.byteLength) {
      const slab = this.#writable();
      const count = piece.copy(slab, this.#writeAt, from);
      this.#writeAt += count;
      from += count;
    }
    this.#bytes += piece.byteLength;
  }

  /** The next bytes, as many as lie together; undefined when it is empty. They are the caller's to keep. */
  shift(): Buffer | undefined {
    const slab = this.#slabs[0];
    if (!slab || this.#bytes === 0) return undefined;
    const end = this.#slabs.length === 1 ? this.#writeAt : slabBytes;
    const bytes = slab.subarray(0, end);
    this.#bytes -= bytes.byteLength;
    this.#slabs.shift();
    if (this.#slabs.length === 0) this.#writeAt = slabBytes;
    return bytes;
  }

  #writable(): Buffer {
    const last = this.#slabs.at(-1);
    if (last && this.#writeAt < slabBytes) return last;
    const slab = Buffer.allocUnsafeSlow(slabBytes);
    this.#slabs.push(slab);
    this.#writeAt = 0;
    return slab;
  }
}
