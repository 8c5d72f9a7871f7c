import { type Frame, FrameDecoder, FrameError } from "../../protocol/frames.ts";
import { findSyncMarker, syncMarkerBytes } from "../../protocol/sync.ts";

export type Arrival = { kind: "marker"; nonce: Buffer } | { kind: "frame"; frame: Frame };

/**
 * Bytes of stdin into markers and frames. Before a marker, and after bytes that are no frame, everything up to the next
 * marker is skipped.
 */
export class ChannelReader {
  #decoder: FrameDecoder | undefined;
  /** The end of what was skipped: the next marker may have begun in it. */
  #tail: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Arrival, void, undefined> {
    let bytes: Buffer | undefined = chunk;
    while (bytes) bytes = this.#decoder ? yield* this.#decode(this.#decoder, bytes) : yield* this.#seek(bytes);
  }

  /** Returns what is to be looked at again. */
  *#decode(decoder: FrameDecoder, bytes: Buffer): Generator<Arrival, Buffer | undefined, undefined> {
    try {
      for (const frame of decoder.push(bytes)) yield { kind: "frame", frame };
      return undefined;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // The padding of a new attachment. Its marker comes after the bytes that broke the frame, so it is in these or later.
      this.#decoder = undefined;
      this.#tail = Buffer.alloc(0);
      return bytes;
    }
  }

  *#seek(chunk: Buffer): Generator<Arrival, Buffer | undefined, undefined> {
    const bytes = this.#tail.byteLength > 0 ? Buffer.concat([this.#tail, chunk]) : chunk;
    const marker = findSyncMarker(bytes);
    if (!marker) {
      this.#tail = Buffer.from(bytes.subarray(-(syncMarkerBytes - 1)));
      return undefined;
    }
    this.#tail = Buffer.alloc(0);
    this.#decoder = new FrameDecoder();
    yield { kind: "marker", nonce: Buffer.from(marker.nonce) };
    return bytes.subarray(marker.end);
  }
}
