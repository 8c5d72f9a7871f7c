import type { Readable } from "node:stream";
import { channelProtocol, resyncPaddingBytes, syncMarker, UpFrame } from "../../protocol/channel.ts";
import { type Frame, FrameDecoder, FrameError } from "../../protocol/frames.ts";
import { firstTaskStep, maxOutputPieceBytes, type RecordBody } from "../../protocol/records.ts";
import { SyncSearch } from "./sync.ts";
import { ChannelViolation } from "./violation.ts";
import type { FrameWriter } from "./writer.ts";

/** What the frames of a container lead to. A handler that returns a promise holds back everything behind its frame. */
export interface ChannelHandlers {
  hello(version: string): void;
  accepted(): void;
  record(seq: number, record: RecordBody, body: Buffer): Promise<void> | void;
  transfer(frame: TransferFrame, body: Buffer): void;
}

export type TransferFrame = Extract<UpFrame, { type: "request" | "data" | "end" | "credit" | "abort" }>;

export interface ChannelOptions {
  stdout: Readable;
  writer: FrameWriter;
  /** 16 random bytes. */
  nonce: Uint8Array;
  /**
   * What stands before: `first`, the container has never been attached to; `again`, an attachment that broke may have left half
   * a frame; `greeted`, this marker is on its way already.
   */
  opening?: "first" | "again" | "greeted";
  task: { id: string; attempt: number };
  handlers: ChannelHandlers;
}

/** So many frames are handled before other tasks of this agent get their turn. */
const framesPerTurn = 256;

/**
 * The launch agent's side of the task channel. All that it reads is untrusted: it is parsed, checked against the
 * protocol's order, and handed on one by one; the first thing that does not fit ends the channel with ChannelViolation.
 */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #sync: SyncSearch;
  readonly #frames = new FrameDecoder();
  #stage: "silent" | "greeted" | "working" = "silent";

  constructor(options: ChannelOptions) {
    this.#options = options;
    const marker = syncMarker(options.nonce);
    this.#sync = new SyncSearch(marker);
    if (options.opening === "greeted") return;
    if (options.opening === "again") options.writer.raw(Buffer.alloc(resyncPaddingBytes));
    options.writer.raw(marker);
  }

  get greeted(): boolean {
    return this.#stage !== "silent";
  }

  /** Reads until the container's output ends or breaks. Rejects with ChannelViolation, never with anything else. */
  async run(): Promise<void> {
    const chunks = this.#options.stdout[Symbol.asyncIterator]();
    for (;;) {
      const chunk = await nextChunk(chunks);
      if (!chunk) return;
      try {
        await this.#take(this.#sync.push(chunk));
      } catch (error) {
        this.#options.stdout.destroy();
        throw asViolation(error);
      }
    }
  }

  async #take(bytes: Buffer): Promise<void> {
    if (bytes.byteLength === 0) return;
    let frames = 0;
    for (const frame of this.#frames.push(bytes)) {
      const waits = this.#dispatch(parseUp(frame), frame.body);
      if (waits) await waits;
      else if (++frames % framesPerTurn === 0) await nextTurn();
    }
  }

  #dispatch(frame: UpFrame, body: Buffer): Promise<void> | void {
    const { handlers } = this.#options;
    switch (frame.type) {
      case "hello":
        return this.#onHello(frame);
      case "accepted":
        return this.#onAccepted(frame);
      case "record":
        this.#expectWork(frame.type);
        checkRecord(frame.record, body);
        return handlers.record(frame.seq, frame.record, body);
      case "request":
      case "data":
      case "end":
      case "credit":
      case "abort":
        this.#expectWork(frame.type);
        return handlers.transfer(frame, body);
      default:
        return frame satisfies never;
    }
  }

  #onHello(frame: Extract<UpFrame, { type: "hello" }>): void {
    if (this.#stage !== "silent") throw new ChannelViolation("a second hello");
    if (frame.protocol !== channelProtocol) {
      throw new ChannelViolation(
        `the task agent speaks version ${frame.protocol} of the channel, this launch agent ${channelProtocol}`,
      );
    }
    this.#stage = "greeted";
    this.#options.handlers.hello(frame.version);
  }

  #onAccepted(frame: Extract<UpFrame, { type: "accepted" }>): void {
    if (this.#stage !== "greeted") throw new ChannelViolation("accepted out of turn");
    const { id, attempt } = this.#options.task;
    if (frame.task !== id || frame.attempt !== attempt) {
      throw new ChannelViolation("accepted another task than the one that was handed over");
    }
    this.#stage = "working";
    this.#options.handlers.accepted();
  }

  #expectWork(type: string): void {
    if (this.#stage !== "working") throw new ChannelViolation(`${type} before the task was accepted`);
  }
}

function parseUp(frame: Frame): UpFrame {
  const parsed = UpFrame.safeParse(frame.header);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ChannelViolation(`a frame that no task agent sends (${issue?.path.join(".")}: ${issue?.message})`);
}

function checkRecord(record: RecordBody, body: Buffer): void {
  if ("step" in record && record.step < firstTaskStep) {
    throw new ChannelViolation(`a record for step ${record.step}, which is not the task agent's`);
  }
  if (record.type !== "output") {
    if (body.byteLength > 0) throw new ChannelViolation(`bytes beside a ${record.type} record`);
    return;
  }
  if (record.length > maxOutputPieceBytes) {
    throw new ChannelViolation(`a piece of output of ${record.length} bytes, over ${maxOutputPieceBytes}`);
  }
  if (record.encoding === "identity" && body.byteLength !== record.length) {
    throw new ChannelViolation(`a piece of output of ${body.byteLength} bytes that says ${record.length}`);
  }
}

/** Undefined at the end. A stream that breaks has ended: why it did is told by the container's state. */
async function nextChunk(chunks: AsyncIterator<unknown>): Promise<Buffer | undefined> {
  try {
    const next = await chunks.next();
    if (next.done) return undefined;
    return Buffer.isBuffer(next.value) ? next.value : Buffer.from(String(next.value));
  } catch {
    return undefined;
  }
}

function asViolation(error: unknown): ChannelViolation {
  if (error instanceof ChannelViolation) return error;
  const message = error instanceof FrameError ? error.message : "a frame that cannot be handled";
  return new ChannelViolation(message, { cause: error });
}

/** Lets timers and other tasks run: a container must not keep the whole agent busy with cheap frames. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
