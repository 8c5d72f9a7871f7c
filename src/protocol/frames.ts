/**
 * Frames: how words travel over a byte stream, between task agent and launch agent, and in the body of a records post.
 *
 *     u32 length of what follows | u16 length of header | header, JSON in UTF-8 | body, any bytes
 *
 * Integers are big-endian. Bytes that come out of a container are untrusted: a frame that is too long, too short for
 * its header, or whose header is no JSON object, ends the stream with a FrameError.
 */
export const maxFrameBytes = 4 * 1024 * 1024;
const maxHeaderBytes = 0xffff;
const prefixBytes = 6;
/** Chunks that wait for the rest of their frame are merged from this number on: one byte each would cost a hundred. */
const mostChunks = 1024;

export interface Frame {
  header: unknown;
  body: Buffer;
}

export class FrameError extends Error {
  override name = "FrameError";
}

/** The bytes of one frame. Throws FrameError when it is over the limits: then the caller has to cut it smaller. */
export function encodeFrame(header: object, body?: Uint8Array): Buffer {
  const head = Buffer.from(JSON.stringify(header));
  const bodyBytes = body?.byteLength ?? 0;
  if (head.byteLength > maxHeaderBytes)
    throw new FrameError(`frame header of ${head.byteLength} bytes is over ${maxHeaderBytes}`);
  const length = 2 + head.byteLength + bodyBytes;
  if (length > maxFrameBytes) throw new FrameError(`frame of ${length} bytes is over ${maxFrameBytes}`);
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt16BE(head.byteLength, 4);
  head.copy(frame, prefixBytes);
  if (body) frame.set(body, prefixBytes + head.byteLength);
  return frame;
}

/** Cuts a byte stream into frames. Holds at most one frame beside the chunk that it is given. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Bytes that belong to a frame that is not complete. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#chunks.length > mostChunks) this.#chunks = [Buffer.concat(this.#chunks)];
    for (let frame = this.#next(); frame; frame = this.#next()) yield frame;
  }

  #next(): Frame | undefined {
    if (this.#bytes < prefixBytes) return undefined;
    const prefix = this.#peek(prefixBytes);
    const length = prefix.readUInt32BE(0);
    const headerBytes = prefix.readUInt16BE(4);
    if (length > maxFrameBytes) throw new FrameError(`frame of ${length} bytes is over ${maxFrameBytes}`);
    if (length < 2 + headerBytes)
      throw new FrameError(`frame of ${length} bytes cannot hold a header of ${headerBytes}`);
    if (this.#bytes < 4 + length) return undefined;
    const frame = this.#take(4 + length);
    const bodyStart = prefixBytes + headerBytes;
    return { header: parseHeader(frame.subarray(prefixBytes, bodyStart)), body: frame.subarray(bodyStart) };
  }

  #peek(count: number): Buffer {
    const first = this.#chunks[0];
    if (first && first.byteLength >= count) return first;
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #take(count: number): Buffer {
    const whole = this.#peek(count);
    this.#chunks[0] = whole.subarray(count);
    if (this.#chunks[0].byteLength === 0) this.#chunks.shift();
    this.#bytes -= count;
    return whole.subarray(0, count);
  }
}

function parseHeader(bytes: Buffer): unknown {
  try {
    const header: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof header === "object" && header !== null) return header;
  } catch (cause) {
    throw new FrameError("frame header is not JSON", { cause });
  }
  throw new FrameError("frame header is not a JSON object");
}
