import type { Attachment } from "../../engine/engine.ts";
import { FrameError, maxFrameBytes } from "../../protocol/frames.ts";
import type { Task, Work } from "../../protocol/task.ts";
import { Channel } from "../channel/channel.ts";
import { ChannelViolation } from "../channel/violation.ts";
import { FrameWriter } from "../channel/writer.ts";
import { type BlobCalls, RequestRelay } from "../relay/requests.ts";
import type { TaskLane } from "../relay/task-lane.ts";
import { ConfigFault } from "./end.ts";
import { tailInWords } from "./words.ts";

export interface SessionOptions {
  task: Task;
  attachment: Attachment;
  greeting: Greeting;
  blobs: BlobCalls;
  /** Takes what comes, from this attachment as from those before it. */
  lane: TaskLane;
  signal: AbortSignal;
  onAccepted: () => void;
  onViolation: (violation: ChannelViolation) => void;
  /** A call to the control plane failed for good. */
  onApiFailure: (error: unknown) => void;
}

/** The marker that opens an attachment, and what stands before it; see ChannelOptions. */
export interface Greeting {
  nonce: Uint8Array;
  opening: "first" | "again" | "greeted";
}

const stderrTailBytes = 4096;

/** One attachment to one container: channel, records and requests joined together. */
export class TaskSession {
  readonly #options: SessionOptions;
  readonly #writer: FrameWriter;
  readonly #channel: Channel;
  readonly #requests: RequestRelay;
  /** Ends the transfers: they are void when the attachment is. */
  readonly #over = new AbortController();
  #stderr: Buffer = Buffer.alloc(0);
  /** When the container's output has ended, or was refused. Never rejects. */
  readonly ended: Promise<void>;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { attachment } = options;
    this.#writer = new FrameWriter(attachment.stdin);
    this.#requests = new RequestRelay({
      blobs: options.blobs,
      writer: this.#writer,
      signal: AbortSignal.any([options.signal, this.#over.signal]),
      onFenced: options.onApiFailure,
      onViolation: options.onViolation,
    });
    this.#channel = new Channel({
      stdout: attachment.stdout,
      writer: this.#writer,
      ...options.greeting,
      task: options.task,
      handlers: {
        hello: () => {},
        accepted: options.onAccepted,
        record: (seq, record, body) => options.lane.record(seq, record, body),
        transfer: (frame, body) => this.#requests.frame(frame, body),
      },
    });
    this.#keepStderr();
    this.ended = this.#channel.run().catch((error: unknown) => {
      options.onViolation(error instanceof ChannelViolation ? error : new ChannelViolation("unreadable"));
    });
  }

  /** Whether the task agent has answered. */
  get greeted(): boolean {
    return this.#channel.greeted;
  }

  get stderr(): string {
    return tailInWords(this.#stderr);
  }

  handOver(work: Work, proof?: string): void {
    const { id, attempt } = this.#options.task;
    const body = Buffer.from(JSON.stringify(work));
    try {
      this.#writer.send({ type: "task", task: id, attempt, ...(proof === undefined ? {} : { proof }) }, body);
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      const message = `the job's steps take ${body.byteLength} bytes, more than the ${maxFrameBytes} that can be handed over`;
      throw new ConfigFault(message, { cause });
    }
  }

  /** Asks the task agent to end. The second time it does so without grace. */
  cancel(status: "canceled" | "timedout", reason: string): void {
    try {
      this.#writer.send({ type: "cancel", reason, status });
    } catch (error) {
      if (error instanceof ChannelViolation) this.#options.onViolation(error);
      else throw error;
    }
  }

  /** Records up to this number are stored. */
  ack(seq: number): void {
    this.#writer.ack(seq);
  }

  async close(): Promise<void> {
    this.#over.abort(new Error("the attachment is over"));
    this.#writer.close();
    this.#options.attachment.close();
    await this.#requests.settled();
  }

  /** Always read, or the container would stand still; only its end is kept, for a task agent that dies early. */
  #keepStderr(): void {
    const { stderr } = this.#options.attachment;
    stderr.on("data", (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk.subarray(-stderrTailBytes)]).subarray(-stderrTailBytes);
    });
    stderr.on("error", () => {});
  }
}
