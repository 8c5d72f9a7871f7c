import type { Output } from "../../protocol/records.ts";

/** Below this the frame around it weighs more than what is saved. */
const worthBytes = 1024;

/** Compressed where that pays. */
export function packed(bytes: Buffer): { encoding: Output["encoding"]; body: Buffer } {
  if (bytes.byteLength < worthBytes) return { encoding: "identity", body: bytes };
  // Here and not at the top of the file: most first lines are short, and loading it costs a millisecond.
  const zlib = process.getBuiltinModule("node:zlib");
  const body = zlib.zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } });
  return body.byteLength < bytes.byteLength * 0.9 ? { encoding: "zstd", body } : { encoding: "identity", body: bytes };
}
