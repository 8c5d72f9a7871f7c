import type { Clock } from "../../lib/clock.ts";
import type { Output as OutputRecord, RecordBody } from "../../protocol/records.ts";
import { maxOutputPieceBytes } from "../../protocol/sync.ts";
import type { Mask, Masker } from "../mask/mask.ts";
import { Packer } from "./packer.ts";

export type StreamName = OutputRecord["stream"];

export interface OutputOptions {
  record: (record: RecordBody, bytes: Uint8Array) => void;
  masker: Masker;
  clock: Clock;
  /** Over all steps. What is beyond is dropped, with one notice. */
  limitBytes: number;
}

const batchBytes = 256 * 1024;
const batchMs = 50;

/** The output of one task, and its limit. */
export class TaskOutput {
  readonly options: OutputOptions;
  readonly packer = new Packer();
  #left: number;

  constructor(options: OutputOptions) {
    this.options = options;
    this.#left = options.limitBytes;
  }

  step(step: number): StepOutput {
    return new StepOutput(step, this);
  }

  /** How many of these bytes may still be stored; they count as stored. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#left);
    this.#left -= taken;
    return taken;
  }

  /** True once: at the first byte over the limit. */
  overflow(): boolean {
    const first = this.#left === 0;
    this.#left = -1;
    return first;
  }

  get full(): boolean {
    return this.#left < 0;
  }
}

/** Both streams of a step, masked, in order of arrival, in batches. A lone line leaves at once. */
export class StepOutput {
  readonly #step: number;
  readonly #task: TaskOutput;
  readonly #masks: Record<StreamName, Mask>;
  #stream: StreamName = "stdout";
  #batch: Buffer[] = [];
  #batchBytes = 0;
  #offset = 0;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #atLineStart = true;

  constructor(step: number, task: TaskOutput) {
    this.#step = step;
    this.#task = task;
    const { masker } = task.options;
    this.#masks = { stdout: masker.stream(), stderr: masker.stream() };
  }

  write(stream: StreamName, chunk: Buffer): void {
    this.#add(stream, this.#masks[stream].push(chunk));
  }

  /** A line of ours, beside what the step's processes print. */
  say(line: string): void {
    const start = this.#atLineStart ? "" : "\n";
    this.#add("stdout", Buffer.from(`${start}${this.#task.options.masker.text(line)}\n`));
  }

  /** All that is held back, at the end of the step. */
  end(): void {
    for (const stream of ["stdout", "stderr"] as const) this.#add(stream, this.#masks[stream].flush());
    this.#flush();
  }

  #add(stream: StreamName, bytes: Buffer): void {
    if (bytes.byteLength === 0 || this.#task.full) return;
    if (stream !== this.#stream) this.#flush();
    this.#stream = stream;
    const taken = this.#task.take(bytes.byteLength);
    this.#push(bytes.subarray(0, taken));
    if (taken < bytes.byteLength && this.#task.overflow()) this.#push(this.#limitNotice());
    this.#schedule();
  }

  #push(bytes: Buffer): void {
    if (bytes.byteLength === 0) return;
    this.#atLineStart = bytes.at(-1) === 0x0a;
    for (let at = 0; at < bytes.byteLength; at += maxOutputPieceBytes) {
      const piece = bytes.subarray(at, at + maxOutputPieceBytes);
      if (this.#batchBytes + piece.byteLength > maxOutputPieceBytes) this.#flush();
      this.#batch.push(piece);
      this.#batchBytes += piece.byteLength;
    }
  }

  #limitNotice(): Buffer {
    const limit = this.#task.options.limitBytes;
    return Buffer.from(
      `\n[cofferdam] The output limit of this job (${limit} bytes) is reached: what follows is not stored. ` +
        "The job goes on. Write long logs to a file and keep it with store_artifacts.\n",
    );
  }

  #schedule(): void {
    if (this.#batchBytes >= batchBytes) return this.#flush();
    if (this.#batchBytes === 0 || this.#timer || this.#soon) return;
    const dueMs = this.#sentAtMs + batchMs - this.#task.options.clock.monotonic();
    if (dueMs > 0) this.#timer = setTimeout(() => this.#flush(), dueMs);
    else this.#soon = setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#soon);
    this.#timer = undefined;
    this.#soon = undefined;
    if (this.#batchBytes === 0) return;
    const bytes = Buffer.concat(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#sentAtMs = this.#task.options.clock.monotonic();
    const { encoding, body } = this.#task.packer.pack(bytes);
    const piece = { step: this.#step, stream: this.#stream, offset: this.#offset, length: bytes.byteLength };
    this.#task.options.record({ type: "output", ...piece, encoding }, body);
    this.#offset += bytes.byteLength;
  }
}
