import type { Duplex } from "node:stream";
import { Readable } from "node:stream";

/** Bytes that wait for a reader, each stream, before the engine is told to wait. */
const bufferedBytes = 1024 * 1024;
const headerBytes = 8;
const stderrTag = 2;

/**
 * Takes the engine's multiplexed stream apart: frames of an 8-byte head (stream, 0, 0, 0, length as uint32) and their
 * bytes. Copies nothing, holds at most what one read gave beyond the buffers; a full stream stops the reading, so both
 * streams have to be read. A connection that ends in mid-frame ends both with an error.
 */
export function demultiplex(source: Duplex, broken: (cause: unknown) => Error): { stdout: Readable; stderr: Readable } {
  const full = new Set<Readable>();
  const stdout = new Readable({ highWaterMark: bufferedBytes, read: () => drained(stdout) });
  const stderr = new Readable({ highWaterMark: bufferedBytes, read: () => drained(stderr) });
  const parser = new FrameParser((tag, piece) => {
    const target = tag === stderrTag ? stderr : stdout;
    if (target.destroyed || target.push(piece)) return;
    full.add(target);
    source.pause();
  });

  function drained(stream: Readable): void {
    if (full.delete(stream) && full.size === 0) source.resume();
  }
  function finish(error?: unknown): void {
    const cause = error ?? (parser.inFrame ? new Error("it ended in the middle of a frame") : undefined);
    for (const stream of [stdout, stderr]) {
      if (stream.destroyed || stream.readableEnded) continue;
      if (cause === undefined) stream.push(null);
      else stream.destroy(broken(cause));
    }
  }
  // A reader that gives one stream up must not hold the other.
  for (const stream of [stdout, stderr]) {
    stream.on("error", () => {});
    stream.on("close", () => drained(stream));
  }
  let over = false;
  function once(error?: unknown): void {
    if (over) return;
    over = true;
    finish(error);
  }
  source.on("data", (chunk: Buffer) => {
    const error = parser.feed(chunk);
    if (error !== undefined) source.destroy(error);
  });
  source.on("end", () => once());
  source.on("error", (error) => once(error));
  source.on("close", () => once());
  return { stdout, stderr };
}

class FrameParser {
  readonly #emit: (tag: number, piece: Buffer) => void;
  readonly #head = Buffer.alloc(headerBytes);
  #headFilled = 0;
  #left = 0;

  constructor(emit: (tag: number, piece: Buffer) => void) {
    this.#emit = emit;
  }

  /** Whether the bytes so far end within a frame. */
  get inFrame(): boolean {
    return this.#left > 0 || this.#headFilled % headerBytes !== 0;
  }

  /** An error where the bytes are no such stream. */
  feed(chunk: Buffer): Error | undefined {
    let at = 0;
    while (at < chunk.byteLength) {
      if (this.#left === 0) {
        at = this.#takeHead(chunk, at);
        if (this.#headFilled < headerBytes) return undefined;
        if (!this.#headIsSound()) return new Error("what came is not the engine's multiplexed stream");
        this.#left = this.#head.readUInt32BE(4);
        this.#headFilled = 0;
      }
      const piece = chunk.subarray(at, at + this.#left);
      at += piece.byteLength;
      this.#left -= piece.byteLength;
      if (piece.byteLength > 0) this.#emit(this.#head[0] ?? 0, piece);
    }
    return undefined;
  }

  #takeHead(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#head, this.#headFilled, at, at + headerBytes - this.#headFilled);
    this.#headFilled += taken;
    return at + taken;
  }

  #headIsSound(): boolean {
    const [tag, a, b, c] = this.#head;
    return tag !== undefined && tag <= stderrTag && a === 0 && b === 0 && c === 0;
  }
}
