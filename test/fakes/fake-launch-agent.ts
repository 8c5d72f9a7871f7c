import { randomBytes } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { zstdDecompressSync } from "node:zlib";
import { type DownFrame, type Request, type ResponseResult, UpFrame } from "../../src/protocol/channel.ts";
import { encodeFrame, FrameDecoder } from "../../src/protocol/frames.ts";
import type { RecordBody, StepOutcome, TaskEnded } from "../../src/protocol/records.ts";
import {
  findSyncMarker,
  initialCreditBytes,
  maxDataBytes,
  resyncPaddingBytes,
  syncMarker,
} from "../../src/protocol/sync.ts";
import type { Work } from "../../src/protocol/task.ts";

/** What the fake control plane behind it holds. Archives are bytes: nobody here looks into them. */
export interface FakeStores {
  caches: Map<string, Buffer>;
  layers: { id: string; bytes: Buffer }[];
  artifacts: Map<string, Buffer>;
  testResults: Buffer[];
  source: Buffer | undefined;
}

interface OpenTransfer {
  request: Request;
  received: Buffer[];
  credit: number;
  grow: (() => void)[];
}

export interface FakeOptions {
  /** False: records are taken and never acknowledged. */
  acknowledges?: boolean;
  /** False: requests are taken and never answered. */
  answers?: boolean;
  /** Called for each request; a message refuses it. */
  refuse?: (request: Request) => { message: string; infrastructure?: boolean } | undefined;
}

/** The other end of the task channel, for tests of the task agent. Checks every frame with the protocol's schemas. */
export class FakeLaunchAgent {
  readonly stores: FakeStores = {
    caches: new Map(),
    layers: [],
    artifacts: new Map(),
    testResults: [],
    source: undefined,
  };
  readonly requests: Request[] = [];
  /** Records of the task lane, in order, each once. */
  readonly records: { record: RecordBody; bytes: Buffer }[] = [];
  readonly hellos: Extract<UpFrame, { type: "hello" }>[] = [];
  readonly accepted: Extract<UpFrame, { type: "accepted" }>[] = [];
  /** How many records came that had been there before. */
  repeated = 0;
  options: FakeOptions;
  readonly #transfers = new Map<number, OpenTransfer>();
  #input: Writable | undefined;
  #waiting: { done: () => boolean; resolve: () => void; reject: (error: Error) => void }[] = [];
  #detach: () => void = () => {};
  #error: Error | undefined;
  #attachments = 0;

  constructor(options: FakeOptions = {}) {
    this.options = options;
  }

  /** Joins the agent's stdin and stdout, from the second time on as an agent does that came back. */
  attach(stdin: Writable, stdout: Readable): void {
    this.detach(stdout);
    const nonce = randomBytes(16);
    let decoder: FrameDecoder | undefined;
    let skipped = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      try {
        let bytes = chunk;
        if (!decoder) {
          skipped = Buffer.concat([skipped, chunk]);
          const marker = findSyncMarker(skipped);
          if (!marker?.nonce.equals(nonce)) return;
          decoder = new FrameDecoder();
          bytes = skipped.subarray(marker.end);
        }
        for (const frame of decoder.push(bytes)) this.#handle(UpFrame.parse(frame.header), frame.body);
      } catch (error) {
        this.#fail(error as Error);
      }
    };
    stdout.on("data", onData);
    this.#detach = () => stdout.off("data", onData);
    this.#input = stdin;
    this.#transfers.clear();
    if (this.#attachments > 0) stdin.write(Buffer.alloc(resyncPaddingBytes));
    stdin.write(syncMarker(nonce));
    this.#attachments += 1;
  }

  /** Breaks off: what the agent writes from now on is lost, as under an engine that nobody is attached to. */
  detach(stdout: Readable): void {
    this.#detach();
    this.#input = undefined;
    stdout.resume();
  }

  handOver(work: Work, ids: { task: string; attempt: number } = { task: "task-1", attempt: 1 }): void {
    this.send({ type: "task", ...ids }, Buffer.from(JSON.stringify(work)));
  }

  cancel(status: "canceled" | "timedout" = "canceled"): void {
    this.send({ type: "cancel", reason: "test", status });
  }

  send(frame: DownFrame, body?: Uint8Array): void {
    this.#input?.write(encodeFrame(frame, body));
  }

  acknowledge(): void {
    this.send({ type: "ack", seq: this.records.length });
  }

  /** Resolves when the condition holds, looked at after every frame. Rejects when a frame was wrong. */
  async until(done: () => boolean): Promise<void> {
    if (this.#error) throw this.#error;
    if (done()) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ done, resolve, reject }));
  }

  async ended(): Promise<TaskEnded> {
    await this.until(() => this.#ended() !== undefined);
    return this.#ended() as TaskEnded;
  }

  /** Decoded output of a step (of all steps), and whether its offsets are without gaps. */
  output(step?: number, stream?: "stdout" | "stderr"): string {
    return this.outputBytes(step, stream).toString("utf8");
  }

  outputBytes(step?: number, stream?: "stdout" | "stderr"): Buffer {
    const offsets = new Map<number, number>();
    const pieces: Buffer[] = [];
    for (const { record, bytes } of this.records) {
      if (record.type !== "output" || (step !== undefined && record.step !== step)) continue;
      const decoded = record.encoding === "zstd" ? zstdDecompressSync(bytes) : bytes;
      const offset = offsets.get(record.step) ?? 0;
      if (record.offset !== offset || record.length !== decoded.byteLength)
        throw new Error(`output of step ${record.step}: piece at ${record.offset}, expected ${offset}`);
      offsets.set(record.step, offset + decoded.byteLength);
      if (stream === undefined || record.stream === stream) pieces.push(decoded);
    }
    return Buffer.concat(pieces);
  }

  outcomes(): Record<number, StepOutcome> {
    return Object.fromEntries(
      this.records.flatMap(({ record }) => (record.type === "step-ended" ? [[record.step, record.outcome]] : [])),
    );
  }

  #ended(): TaskEnded | undefined {
    const last = this.records.at(-1)?.record;
    return last?.type === "task-ended" ? last : undefined;
  }

  #handle(frame: UpFrame, body: Buffer): void {
    switch (frame.type) {
      case "hello":
        this.hellos.push(frame);
        break;
      case "accepted":
        this.accepted.push(frame);
        break;
      case "record":
        this.#record(frame.seq, frame.record, body);
        break;
      case "request":
        this.#request(frame.id, frame.request);
        break;
      case "data":
        this.#receive(frame.id, body);
        break;
      case "end":
        this.#finish(frame.id);
        break;
      case "credit":
        this.#credit(frame.id, frame.bytes);
        break;
      case "abort":
        this.#transfers.delete(frame.id);
        break;
    }
    this.#notify();
  }

  #record(seq: number, record: RecordBody, bytes: Buffer): void {
    if (seq > this.records.length + 1) throw new Error(`record ${seq} after ${this.records.length}`);
    if (seq <= this.records.length) this.repeated += 1;
    else this.records.push({ record, bytes: Buffer.from(bytes) });
    if (this.options.acknowledges !== false) this.acknowledge();
  }

  #request(id: number, request: Request): void {
    this.requests.push(request);
    if (this.options.answers === false) return;
    const refusal = this.options.refuse?.(request);
    if (refusal) return this.send({ type: "abort", id, ...refusal });
    this.#transfers.set(id, { request, received: [], credit: initialCreditBytes, grow: [] });
    const { stores } = this;
    switch (request.op) {
      case "has-cache":
        return this.#answer(id, { streams: false, stored: stores.caches.has(request.key) });
      case "restore-cache": {
        const key = request.keys.flatMap((prefix) =>
          [...stores.caches.keys()].toReversed().filter((k) => k.startsWith(prefix)),
        )[0];
        return key === undefined
          ? this.#answer(id, { streams: false })
          : this.#stream(id, { key }, stores.caches.get(key));
      }
      case "list-workspace":
        return this.#answer(id, {
          streams: false,
          layers: stores.layers.map((layer) => ({ id: layer.id, sizeBytes: layer.bytes.byteLength })),
        });
      case "fetch-workspace":
        return this.#stream(id, {}, stores.layers.find((layer) => layer.id === request.layer)?.bytes);
      case "checkout":
        return this.#stream(id, {}, stores.source);
      default:
      // The others send first.
    }
  }

  #receive(id: number, bytes: Buffer): void {
    const transfer = this.#transfers.get(id);
    if (!transfer) return;
    if (bytes.byteLength > maxDataBytes) throw new Error(`data of ${bytes.byteLength} bytes`);
    transfer.received.push(Buffer.from(bytes));
    this.send({ type: "credit", id, bytes: bytes.byteLength });
  }

  #finish(id: number): void {
    const transfer = this.#transfers.get(id);
    if (!transfer) return;
    const bytes = Buffer.concat(transfer.received);
    const { request } = transfer;
    const { stores } = this;
    if (request.op === "save-cache") {
      const stored = !stores.caches.has(request.key);
      if (stored) stores.caches.set(request.key, bytes);
      return this.#answer(id, { streams: false, stored });
    }
    if (request.op === "persist-workspace") stores.layers.push({ id: `layer-${stores.layers.length + 1}`, bytes });
    if (request.op === "store-artifact") stores.artifacts.set(request.path, bytes);
    if (request.op === "store-test-results") stores.testResults.push(bytes);
    this.#answer(id, { streams: false });
  }

  #answer(id: number, result: ResponseResult): void {
    this.send({ type: "response", id, result });
  }

  #stream(id: number, result: Omit<ResponseResult, "streams">, bytes: Buffer | undefined): void {
    if (!bytes) return this.send({ type: "abort", id, message: "there is none" });
    this.#answer(id, { ...result, streams: true, sizeBytes: bytes.byteLength });
    this.#sendData(id, bytes).catch((error: Error) => this.#fail(error));
  }

  async #sendData(id: number, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += maxDataBytes) {
      const piece = bytes.subarray(at, at + maxDataBytes);
      const transfer = this.#transfers.get(id);
      if (!transfer) return;
      while (transfer.credit < piece.byteLength) await new Promise<void>((resolve) => transfer.grow.push(resolve));
      if (this.#transfers.get(id) !== transfer) return;
      transfer.credit -= piece.byteLength;
      this.send({ type: "data", id }, piece);
    }
    this.send({ type: "end", id });
  }

  #credit(id: number, bytes: number): void {
    const transfer = this.#transfers.get(id);
    if (!transfer) return;
    transfer.credit += bytes;
    if (transfer.credit > initialCreditBytes) throw new Error(`credit of ${transfer.credit} bytes was never used`);
    for (const resolve of transfer.grow.splice(0)) resolve();
  }

  #notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if (waiter.done()) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }

  #fail(error: Error): void {
    this.#error ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
