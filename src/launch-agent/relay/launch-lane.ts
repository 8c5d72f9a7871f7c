import type { Clock } from "../../lib/clock.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import {
  maxOutputPieceBytes,
  type RecordBody,
  type RecordFrame,
  type StepKind,
  type StepOutcome,
  type TaskStatus,
} from "../../protocol/records.ts";
import type { RecordRelay } from "./records.ts";

/** The launch agent's own lane of a task: spinning up, services, and what the task agent could not say. */
export class LaunchLane {
  readonly #relay: RecordRelay;
  readonly #clock: Clock;
  readonly #offsets = new Map<number, number>();
  #seq: number;

  /** `from`: how far an earlier process has got with this lane. */
  constructor(
    relay: RecordRelay,
    clock: Clock,
    from: { acked: number; openSteps: readonly { step: number; bytes: number }[] } = { acked: 0, openSteps: [] },
  ) {
    this.#relay = relay;
    this.#clock = clock;
    this.#seq = from.acked;
    for (const { step, bytes } of from.openSteps) this.#offsets.set(step, bytes);
  }

  isOpen(step: number): boolean {
    return this.#offsets.has(step);
  }

  stepStarted(step: number, name: string, kind: StepKind): void {
    if (this.#offsets.has(step)) return;
    this.#offsets.set(step, 0);
    this.#push({ type: "step-started", step, name, kind, atMs: this.#clock.now() });
  }

  /** A line for people; its end is added. */
  line(step: number, text: string): void {
    this.output(step, "stdout", Buffer.from(`${text}\n`));
  }

  /** Output of a step that is not open goes nowhere. */
  output(step: number, stream: "stdout" | "stderr", bytes: Buffer): void {
    if (!this.#offsets.has(step)) return;
    for (let from = 0; from < bytes.byteLength; from += maxOutputPieceBytes) {
      const piece = bytes.subarray(from, from + maxOutputPieceBytes);
      const offset = this.#offsets.get(step) ?? 0;
      this.#offsets.set(step, offset + piece.byteLength);
      this.#push({ type: "output", step, stream, offset, length: piece.byteLength, encoding: "identity" }, piece);
    }
  }

  /** A step that never started, or ended before, is left alone. */
  stepEnded(step: number, outcome: StepOutcome): void {
    if (!this.#offsets.delete(step)) return;
    this.#push({ type: "step-ended", step, outcome, atMs: this.#clock.now() });
  }

  taskEnded(status: TaskStatus, message?: string): void {
    const said = message === undefined ? {} : { message: message.slice(0, 8192) };
    this.#push({ type: "task-ended", status, ...said, atMs: this.#clock.now() });
  }

  /** Undefined while there is room for more output; otherwise resolves when there is. */
  full(): Promise<void> | undefined {
    return this.#relay.full();
  }

  async flushed(): Promise<void> {
    await this.#relay.flushed();
  }

  #push(record: RecordBody, body?: Buffer): void {
    const seq = ++this.#seq;
    this.#relay.push(seq, encodeFrame({ type: "record", seq, record } satisfies RecordFrame, body));
  }
}
