import { promisify } from "node:util";
import { zstdDecompress, zstdDecompressSync } from "node:zlib";
import { maxOutputPieceBytes, type Output } from "../../protocol/records.ts";
import { ControlPlaneError } from "../errors.ts";

const decompress = promisify(zstdDecompress);
/** Pieces up to this size are decoded at once: handing them to another thread would take longer. */
const inlineBytes = 64 * 1024;

export interface EncodedPiece {
  encoding: Output["encoding"];
  /** Bytes once decoded. */
  length: number;
  data: Uint8Array;
}

/** Whether a piece is what its header says. It came out of a container: it may say anything. Throws ControlPlaneError. */
export async function verifyPiece(piece: EncodedPiece): Promise<void> {
  if (piece.length > maxOutputPieceBytes)
    throw new ControlPlaneError(
      "bad-request",
      `an output piece of ${piece.length} bytes is over ${maxOutputPieceBytes}`,
    );
  if (piece.encoding === "identity") {
    if (piece.data.byteLength !== piece.length) throw wrongLength(piece.length, piece.data.byteLength);
    return;
  }
  let decoded: Buffer;
  try {
    decoded = await decodePiece(piece);
  } catch (cause) {
    throw new ControlPlaneError("bad-request", `an output piece is not ${piece.length} bytes of zstd`, { cause });
  }
  if (decoded.byteLength !== piece.length) throw wrongLength(piece.length, decoded.byteLength);
}

/** The bytes of a piece. Never makes more of them than it says. */
export async function decodePiece({ encoding, data, length }: EncodedPiece): Promise<Buffer> {
  if (encoding === "identity") return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const options = { maxOutputLength: length };
  return length <= inlineBytes ? zstdDecompressSync(data, options) : await decompress(data, options);
}

function wrongLength(stated: number, actual: number): ControlPlaneError {
  return new ControlPlaneError("bad-request", `an output piece states ${stated} bytes and has ${actual}`);
}
