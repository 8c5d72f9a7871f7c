/**
 * The marker that opens an attachment of the task channel (see channel.ts), and the channel's sizes. Apart from the
 * schemas, because the task agent starts once a task and cannot afford to load zod for them.
 */
export const channelProtocol = 1;

const magic = Buffer.from("\u0000cofferdam:sync\u0000", "latin1");
const nonceBytes = 16;
export const syncMarkerBytes = magic.byteLength + nonceBytes;
export const resyncPaddingBytes = 4 * 1024 * 1024 + 64 * 1024;

/** The bytes that open an attachment. `nonce` is 16 random bytes. */
export function syncMarker(nonce: Uint8Array): Buffer {
  if (nonce.byteLength !== nonceBytes)
    throw new RangeError(`nonce of ${nonce.byteLength} bytes, expected ${nonceBytes}`);
  return Buffer.concat([magic, nonce]);
}

/** Index just after the last whole marker in `bytes`, and its nonce; undefined where there is none. */
export function findSyncMarker(bytes: Buffer): { end: number; nonce: Buffer } | undefined {
  let from = bytes.byteLength;
  while (from >= 0) {
    const start = bytes.lastIndexOf(magic, from);
    if (start < 0) return undefined;
    const end = start + syncMarkerBytes;
    if (end <= bytes.byteLength) return { end, nonce: bytes.subarray(start + magic.byteLength, end) };
    from = start - 1;
  }
  return undefined;
}

/** Opening credit of a transfer, in bytes, each way. The receiver grants more with `credit` as it consumes. */
export const initialCreditBytes = 1024 * 1024;
/** Largest body of a `data` frame. */
export const maxDataBytes = 256 * 1024;

/** The first step number of the task lane; the launch lane's are below it. */
export const firstTaskStep = 100;

/** Decoded bytes of one output record. */
export const maxOutputPieceBytes = 1024 * 1024;
