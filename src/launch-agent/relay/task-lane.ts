import { encodeFrame } from "../../protocol/frames.ts";
import type { RecordBody, RecordFrame, TaskEnded } from "../../protocol/records.ts";
import { ChannelViolation } from "../channel/violation.ts";
import type { RecordRelay } from "./records.ts";

/** Steps' names, beginnings and ends: no limit of output counts them, and no task agent has nearly as much to say. */
const mostStepBytes = 32 * 1024 * 1024;

/** The task agent's lane as it passes through here: numbers without gaps, nothing after its last record. */
export class TaskLane {
  readonly #relay: RecordRelay;
  #seq: number;
  #stepBytes = 0;
  #ended: TaskEnded | undefined;
  #ending = Promise.resolve();
  readonly #beforeEnd: () => Promise<void>;

  /** `acked`: how far an earlier process has got with this lane. `beforeEnd`: what the last record waits for. Never rejects. */
  constructor(relay: RecordRelay, options: { acked?: number; beforeEnd?: () => Promise<void> } = {}) {
    this.#relay = relay;
    this.#seq = options.acked ?? 0;
    this.#beforeEnd = options.beforeEnd ?? (async () => {});
  }

  /** Whether a record has come by this lane. */
  get hasBegun(): boolean {
    return this.#seq > 0;
  }

  /** The record that ended the task, once it has passed; stored it is when its number is acknowledged. */
  get ended(): { seq: number; record: TaskEnded } | undefined {
    return this.#ended && { seq: this.#seq, record: this.#ended };
  }

  /** A promise: the control plane is slower than the container, read no further until it resolves. */
  record(seq: number, record: RecordBody, body: Buffer): Promise<void> | undefined {
    // A record that was sent before its acknowledgement arrived comes again after a break.
    if (seq <= this.#seq) return undefined;
    if (seq !== this.#seq + 1) throw new ChannelViolation(`record ${seq} after record ${this.#seq}`);
    if (this.#ended) throw new ChannelViolation("a record after the end of the task");
    this.#seq = seq;
    if (record.type === "task-ended") this.#ended = record;
    const header = { type: "record", seq, record } satisfies RecordFrame;
    const frame = encodeFrame(header, body.byteLength > 0 ? body : undefined);
    if (record.type !== "output") this.#stepBytes += frame.byteLength;
    if (this.#stepBytes > mostStepBytes)
      throw new ChannelViolation(`more than ${mostStepBytes} bytes about steps, output not counted`);
    if (record.type === "task-ended") {
      this.#ending = this.#beforeEnd().then(() => this.#relay.push(seq, frame));
      return this.#ending;
    }
    this.#relay.push(seq, frame);
    return this.#relay.full();
  }

  async flushed(): Promise<void> {
    await this.#ending;
    await this.#relay.flushed();
  }
}
