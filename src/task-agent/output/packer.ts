import type { Output } from "../../protocol/records.ts";

/** Below this the frame around it weighs more than what is saved. */
const worthBytes = 1024;
/** After a piece that did not get smaller, so many are not tried. */
const restPieces = 8;

/** Compresses pieces of output where that pays. */
export class Packer {
  #rest = 0;

  pack(bytes: Buffer): { encoding: Output["encoding"]; body: Buffer } {
    const plain = { encoding: "identity", body: bytes } as const;
    if (bytes.byteLength < worthBytes || this.#rest > 0) {
      this.#rest = Math.max(0, this.#rest - 1);
      return plain;
    }
    // Here and not at the top of the file: most first lines are short, and loading it costs a millisecond.
    const zlib = process.getBuiltinModule("node:zlib");
    const body = zlib.zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } });
    if (body.byteLength < bytes.byteLength * 0.9) return { encoding: "zstd", body };
    this.#rest = restPieces;
    return plain;
  }
}
