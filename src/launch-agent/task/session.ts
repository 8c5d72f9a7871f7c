import type { Attachment } from "../../engine/engine.ts";
import { FrameError, maxFrameBytes } from "../../protocol/frames.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import type { Task, Work } from "../../protocol/task.ts";
import { Channel } from "../channel/channel.ts";
import { ChannelViolation } from "../channel/violation.ts";
import { FrameWriter } from "../channel/writer.ts";
import { RecordRelay, type RecordRelayOptions } from "../relay/records.ts";
import { type BlobCalls, RequestRelay } from "../relay/requests.ts";
import { TaskLane } from "../relay/task-lane.ts";
import { ConfigFault } from "./end.ts";
import { tailInWords } from "./words.ts";

export interface SessionOptions {
  task: Task;
  attachment: Attachment;
  nonce: Uint8Array;
  /** The container has been greeted with this nonce. */
  greeted?: boolean;
  blobs: BlobCalls;
  post: RecordRelayOptions["post"];
  signal: AbortSignal;
  onAccepted: () => void;
  /** The task agent's last record is stored. */
  onReported: (status: TaskStatus) => void;
  onViolation: (violation: ChannelViolation) => void;
  /** A call to the control plane failed for good. */
  onApiFailure: (error: unknown) => void;
}

const stderrTailBytes = 4096;

/** One attachment to one container: channel, records and requests joined together. */
export class TaskSession {
  readonly #options: SessionOptions;
  readonly #writer: FrameWriter;
  readonly #channel: Channel;
  readonly #lane: TaskLane;
  readonly #requests: RequestRelay;
  #stderr: Buffer = Buffer.alloc(0);
  /** When the container's output has ended, or was refused. Never rejects. */
  readonly ended: Promise<void>;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { attachment } = options;
    this.#writer = new FrameWriter(attachment.stdin);
    this.#lane = new TaskLane(
      new RecordRelay({
        post: options.post,
        onAck: (seq) => this.#onAck(seq),
        onFailure: options.onApiFailure,
      }),
    );
    this.#requests = new RequestRelay({
      blobs: options.blobs,
      writer: this.#writer,
      signal: options.signal,
      onFenced: options.onApiFailure,
      onViolation: options.onViolation,
    });
    this.#channel = new Channel({
      stdout: attachment.stdout,
      writer: this.#writer,
      nonce: options.nonce,
      markerSent: options.greeted === true,
      task: options.task,
      handlers: {
        hello: () => {},
        accepted: options.onAccepted,
        record: (seq, record, body) => this.#lane.record(seq, record, body),
        transfer: (frame, body) => this.#requests.frame(frame, body),
      },
    });
    this.#keepStderr();
    this.ended = this.#channel.run().catch((error: unknown) => {
      options.onViolation(error instanceof ChannelViolation ? error : new ChannelViolation("unreadable"));
    });
  }

  /** Whether the task agent has said how the task ended, be that stored or not. */
  get saidEnd(): boolean {
    return this.#lane.ended !== undefined;
  }

  get stderr(): string {
    return tailInWords(this.#stderr);
  }

  handOver(work: Work): void {
    const { id, attempt } = this.#options.task;
    const body = Buffer.from(JSON.stringify(work));
    try {
      this.#writer.send({ type: "task", task: id, attempt }, body);
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

  /** When every record that came is stored, or none can be any more. */
  async flushed(): Promise<void> {
    await this.#lane.flushed();
  }

  async close(): Promise<void> {
    this.#writer.close();
    this.#options.attachment.close();
    await this.#requests.settled();
  }

  #onAck(seq: number): void {
    this.#writer.ack(seq);
    const ended = this.#lane.ended;
    if (ended && seq >= ended.seq) this.#options.onReported(ended.record.status);
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
