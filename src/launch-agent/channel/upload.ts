import { Readable } from "node:stream";
import { initialCreditBytes, maxDataBytes } from "../../protocol/channel.ts";
import { ByteQueue } from "./byte-queue.ts";
import { ChannelViolation } from "./violation.ts";

/** Credit is granted in pieces of at least this size, so that a stream of small reads is no stream of frames. */
const grantBytes = initialCreditBytes / 4;

/**
 * A transfer out of a container. Holds at most the credit that was granted; more is granted as `stream` is read.
 */
export class Upload {
  readonly stream: Readable;
  readonly #queue = new ByteQueue();
  readonly #grant: (bytes: number) => void;
  #credit = initialCreditBytes;
  #consumed = 0;
  #ended = false;
  #wanted = false;

  constructor(grant: (bytes: number) => void) {
    this.#grant = grant;
    this.stream = new Readable({ highWaterMark: maxDataBytes, read: () => this.#feed() });
    // Whoever reads it hears of errors too; where nobody does, the request was given up and it does not matter.
    this.stream.on("error", () => {});
  }

  data(bytes: Buffer): void {
    if (this.#ended) throw new ChannelViolation("data after the end of its transfer");
    if (bytes.byteLength > this.#credit) {
      throw new ChannelViolation(`${bytes.byteLength} bytes of data against ${this.#credit} bytes of credit`);
    }
    if (this.stream.destroyed) return;
    this.#credit -= bytes.byteLength;
    this.#queue.push(bytes);
    if (this.#wanted) this.#feed();
  }

  end(): void {
    if (this.#ended) throw new ChannelViolation("a transfer ended twice");
    this.#ended = true;
    if (this.#wanted) this.#feed();
  }

  abort(reason: Error): void {
    this.stream.destroy(reason);
  }

  #feed(): void {
    this.#wanted = true;
    while (this.#wanted) {
      const bytes = this.#queue.shift();
      if (!bytes) break;
      this.#wanted = this.stream.push(bytes);
      this.#consume(bytes.byteLength);
    }
    if (this.#ended && this.#queue.byteLength === 0 && !this.stream.readableEnded) {
      this.#wanted = false;
      this.stream.push(null);
    }
  }

  #consume(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < grantBytes || this.#ended) return;
    this.#credit += this.#consumed;
    this.#grant(this.#consumed);
    this.#consumed = 0;
  }
}
