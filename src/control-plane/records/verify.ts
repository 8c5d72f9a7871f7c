import { setImmediate as nextTurn } from "node:timers/promises";
import { zstdDecompressSync } from "node:zlib";
import type { Output } from "../../protocol/records.ts";
import { ControlPlaneError } from "../errors.ts";

/** Others get their turn after this many bytes: about as many milliseconds as megabytes. */
const bytesPerTurn = 2 * 1024 * 1024;

export interface EncodedPiece {
  encoding: Output["encoding"];
  /** Bytes once decoded. */
  length: number;
  data: Uint8Array;
}

/** Whether pieces are what their headers say. They came out of a container, and may be anything. Throws ControlPlaneError. */
export async function verifyPieces(pieces: Iterable<EncodedPiece>): Promise<void> {
  let bytes = 0;
  for (const piece of pieces) {
    verifyPiece(piece);
    bytes += piece.length;
    if (bytes < bytesPerTurn) continue;
    bytes = 0;
    await nextTurn();
  }
}

function verifyPiece(piece: EncodedPiece): void {
  const { length } = piece;
  const actual = decodedLength(piece);
  if (actual !== length)
    throw new ControlPlaneError("bad-request", `an output piece states ${length} bytes and has ${actual}`);
}

function decodedLength(piece: EncodedPiece): number {
  try {
    return decodePiece(piece).byteLength;
  } catch (cause) {
    throw new ControlPlaneError("bad-request", `an output piece is not ${piece.length} bytes of zstd`, { cause });
  }
}

/** The bytes of a piece. Never makes more of them than it says. */
export function decodePiece({ encoding, data, length }: EncodedPiece): Buffer {
  if (encoding === "identity") return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // Room for one byte more, so that all of it is decoded into one buffer, and what is too long is noticed.
  return zstdDecompressSync(data, { maxOutputLength: length, chunkSize: Math.max(length + 1, minChunkBytes) });
}

/** zlib takes no smaller ones. */
const minChunkBytes = 64;
