import type { Writable } from "node:stream";
import type { DownFrame } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import { ChannelViolation } from "./violation.ts";

/** A container that lets this much lie unread in its channel does not read it. */
const longestBacklogBytes = 16 * 1024 * 1024;

/**
 * Frames into a container's stdin, with bounded memory: acknowledgements are merged while the container does not read,
 * data waits for room, and what may not wait is refused once too much of it has piled up.
 */
export class FrameWriter {
  readonly #stdin: Writable;
  #blocked = false;
  #closed = false;
  #pendingAck: number | undefined;
  #waiters: (() => void)[] = [];

  constructor(stdin: Writable) {
    this.#stdin = stdin;
    stdin.on("drain", () => this.#onDrain());
    stdin.on("error", () => this.close());
    stdin.on("close", () => this.close());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes that are no frame: the sync marker. */
  raw(bytes: Buffer): void {
    this.#write(bytes);
  }

  /** Sends at once. Throws ChannelViolation when the container has long stopped reading. */
  send(frame: DownFrame, body?: Uint8Array): void {
    if (this.#stdin.writableLength > longestBacklogBytes) {
      throw new ChannelViolation(`the task does not read its channel: ${this.#stdin.writableLength} bytes wait for it`);
    }
    this.#write(encodeFrame(frame, body));
  }

  /** Records up to `seq` are stored. The newest number says it all, so an older one that waits is dropped. */
  ack(seq: number): void {
    if (this.#blocked) this.#pendingAck = seq;
    else this.#write(encodeFrame({ type: "ack", seq } satisfies DownFrame));
  }

  /** Waits until the container has read enough, or the channel is closed. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#blocked && !this.#closed) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = () => {
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#waiters.push(done);
        signal.addEventListener("abort", done, { once: true });
      });
    }
    signal.throwIfAborted();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #write(bytes: Buffer): void {
    if (this.#closed || this.#stdin.destroyed || this.#stdin.writableEnded) return;
    this.#blocked = !this.#stdin.write(bytes);
  }

  #onDrain(): void {
    this.#blocked = false;
    const seq = this.#pendingAck;
    this.#pendingAck = undefined;
    if (seq !== undefined) this.ack(seq);
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
