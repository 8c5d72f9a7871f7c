import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { type PackOptions, type PackTotals, pack, type Source } from "./pack.ts";
import { Unpacker, type UnpackOptions } from "./unpack.ts";

const chunkBytes = 256 * 1024;

export interface PackedArchive {
  bytes: AsyncIterable<Buffer>;
  /** Complete when `bytes` has ended. */
  totals: PackTotals;
}

/** Files as tar in zstd, with a checksum, as a stream that is read at the speed of whoever takes it. */
export function packArchive(sources: Iterable<Source>, options: PackOptions): PackedArchive {
  const totals: PackTotals = { entries: 0, bytes: 0 };
  const tar = function* (): Generator<Buffer, void, undefined> {
    Object.assign(totals, yield* pack(sources, options));
  };
  const compress = createZstdCompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  // Its failure comes out of `bytes` too: that is where somebody waits for it.
  pipeline(Readable.from(tar(), { highWaterMark: 1 }), compress).catch(() => {});
  return { bytes: compress, totals };
}

/** Extracts tar in zstd. Resolves with what was in it. Throws ArchiveError, and what the file system or zstd says. */
export async function unpackArchive(archive: AsyncIterable<Buffer>, options: UnpackOptions): Promise<PackTotals> {
  const unpacker = new Unpacker(options);
  const decompress = createZstdDecompress({ chunkSize: chunkBytes });
  try {
    await pipeline(Readable.from(archive, { highWaterMark: 1 }), decompress, async (tar: AsyncIterable<Buffer>) => {
      for await (const chunk of tar) unpacker.write(chunk);
    });
    unpacker.end();
    return { entries: unpacker.entries, bytes: unpacker.bytes };
  } catch (error) {
    unpacker.close();
    throw error;
  }
}
