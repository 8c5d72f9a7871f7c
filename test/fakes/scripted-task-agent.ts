import type { Readable, Writable } from "node:stream";
import {
  channelProtocol,
  type DownFrame,
  findSyncMarker,
  syncMarker,
  type UpFrame,
} from "../../src/protocol/channel.ts";
import { encodeFrame, FrameDecoder } from "../../src/protocol/frames.ts";
import { type RecordBody, type TaskStatus } from "../../src/protocol/records.ts";
import { Work } from "../../src/protocol/task.ts";

export interface Streams {
  stdin: Readable;
  stdout: Writable;
}

interface Arrived {
  frame: DownFrame;
  body: Buffer;
}

/** The container's side of the task channel, for programs of tests: does what its script says, honest or not. */
export class ScriptedTaskAgent {
  readonly #streams: Streams;
  readonly #frames = new FrameDecoder();
  #raw: Buffer = Buffer.alloc(0);
  #synced = false;
  #inbox: Arrived[] = [];
  #wake: (() => void)[] = [];
  #seq = 0;
  #acked = 0;
  #lastId = 0;
  readonly cancels: Extract<DownFrame, { type: "cancel" }>[] = [];
  work: Work | undefined;

  constructor(streams: Streams) {
    this.#streams = streams;
    streams.stdin.on("data", (chunk: Buffer) => this.#read(chunk));
    streams.stdin.on("error", () => {});
    streams.stdout.on("error", () => {});
  }

  /** Greets, waits for the work, and accepts it. */
  async begin(): Promise<Work> {
    await this.until(() => this.#synced);
    this.send({ type: "hello", protocol: channelProtocol, version: "scripted" });
    const { frame, body } = await this.next("task");
    this.work = Work.parse(JSON.parse(body.toString()));
    this.send({ type: "accepted", task: frame.task, attempt: frame.attempt });
    return this.work;
  }

  async synced(): Promise<void> {
    await this.until(() => this.#synced);
  }

  send(frame: UpFrame | object, body?: Uint8Array): void {
    this.#streams.stdout.write(encodeFrame(frame, body));
  }

  raw(bytes: Uint8Array): void {
    this.#streams.stdout.write(bytes);
  }

  record(record: RecordBody, body?: Uint8Array): number {
    this.#seq++;
    this.send({ type: "record", seq: this.#seq, record }, body);
    return this.#seq;
  }

  output(step: number, offset: number, text: string | Buffer): void {
    const bytes = Buffer.from(text);
    this.record(
      { type: "output", step, stream: "stdout", offset, length: bytes.byteLength, encoding: "identity" },
      bytes,
    );
  }

  /** One step with this output, and the end. Resolves when all of it is acknowledged. */
  async run(text: string, status: TaskStatus = "success"): Promise<void> {
    this.record({ type: "step-started", step: 100, name: "echo", kind: "run", atMs: 1 });
    this.output(100, 0, text);
    this.record({
      type: "step-ended",
      step: 100,
      outcome: status === "success" ? { kind: "succeeded" } : { kind: "exited", code: 1 },
      atMs: 2,
    });
    await this.end(status);
  }

  async end(status: TaskStatus): Promise<void> {
    const seq = this.record({ type: "task-ended", status, atMs: 3 });
    await this.until(() => this.#acked >= seq);
  }

  request(request: object): number {
    this.#lastId++;
    this.send({ type: "request", id: this.#lastId, request });
    return this.#lastId;
  }

  async next<T extends DownFrame["type"]>(type: T): Promise<{ frame: Extract<DownFrame, { type: T }>; body: Buffer }> {
    let found: Arrived | undefined;
    await this.until(() => {
      const at = this.#inbox.findIndex(({ frame }) => frame.type === type);
      if (at >= 0) found = this.#inbox.splice(at, 1)[0];
      return found !== undefined;
    });
    return found as unknown as { frame: Extract<DownFrame, { type: T }>; body: Buffer };
  }

  /** Everything that streams down under an id, granting credit as it comes. */
  async download(id: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let ended = false;
    await this.until(() => {
      for (const arrived of this.#inbox.splice(0)) {
        if (arrived.frame.type === "data" && arrived.frame.id === id) {
          pieces.push(arrived.body);
          this.send({ type: "credit", id, bytes: arrived.body.byteLength });
        } else if (arrived.frame.type === "end" && arrived.frame.id === id) ended = true;
      }
      return ended;
    });
    return Buffer.concat(pieces);
  }

  get acked(): number {
    return this.#acked;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }

  #read(chunk: Buffer): void {
    if (!this.#synced) {
      this.#raw = Buffer.concat([this.#raw, chunk]);
      const marker = findSyncMarker(this.#raw);
      if (!marker) return;
      this.#synced = true;
      this.raw(syncMarker(marker.nonce));
      this.#take(this.#raw.subarray(marker.end));
    } else this.#take(chunk);
    for (const wake of this.#wake.splice(0)) wake();
  }

  #take(bytes: Buffer): void {
    for (const { header, body } of this.#frames.push(bytes)) {
      const frame = header as DownFrame;
      if (frame.type === "ack") this.#acked = frame.seq;
      else if (frame.type === "cancel") this.cancels.push(frame);
      else this.#inbox.push({ frame, body: Buffer.from(body) });
    }
  }
}
