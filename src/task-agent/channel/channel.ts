import type { Readable, Writable } from "node:stream";
import type { DownFrame, Request, ResponseResult, UpFrame } from "../../protocol/channel.ts";
import { encodeFrame } from "../../protocol/frames.ts";
import type { RecordBody, TaskStatus } from "../../protocol/records.ts";
import { channelProtocol, maxDataBytes, syncMarker } from "../../protocol/sync.ts";
import type { Work } from "../../protocol/task.ts";
import type { Spool } from "../spool/spool.ts";
import { type Arrival, ChannelReader } from "./reader.ts";
import { BrokenError, RequestError, Transfer } from "./transfer.ts";

export interface ChannelOptions {
  input: Readable;
  output: Writable;
  spool: Spool;
  version: string;
  /** Called once. */
  onTask: (work: Work) => void;
  /** `hurry`: it is not the first one, so no grace. */
  onCancel: (status: Extract<TaskStatus, "canceled" | "timedout">, hurry: boolean) => void;
  /** Nobody will ever read or write again. */
  onClosed: (reason: string) => void;
}

export interface Exchange<T> {
  signal: AbortSignal;
  /** What goes up with the request. Called again when the request has to be made again. */
  send?: () => AsyncIterable<Buffer>;
  /** Takes the answer and what comes down with it. Called again when the request has to be made again. */
  receive: (result: ResponseResult, body: AsyncIterable<Buffer>) => Promise<T>;
}

/** How long a transfer that failed waits for the news that its attachment broke in the middle of it. */
const breakNewsMs = 500;

/** The task agent's side of the task channel, as src/protocol/channel.ts has it. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #reader = new ChannelReader();
  readonly #transfers = new Map<number, Transfer>();
  #control: Buffer[] = [];
  #taken: (() => void)[] = [];
  #changed: (() => void)[] = [];
  /** Counts attachments; 0 before the first. */
  #epoch = 0;
  #stalled = false;
  #recordsFirst = false;
  #lastId = 0;
  #seq = 0;
  #cancels = 0;
  #accepted: { task: string; attempt: number; proof?: string } | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { input, output } = options;
    input.on("data", (chunk: Buffer) => this.#read(chunk));
    input.on("end", () => options.onClosed("stdin was closed"));
    input.on("error", (error) => options.onClosed(error.message));
    output.on("error", (error) => options.onClosed(error.message));
    output.on("drain", () => {
      this.#stalled = false;
      this.#pump();
    });
  }

  /** Keeps a record and sends it, on this attachment or a later one. */
  record(record: RecordBody, bytes?: Uint8Array): void {
    this.#seq += 1;
    this.#options.spool.append(
      this.#seq,
      encodeFrame({ type: "record", seq: this.#seq, record } satisfies UpFrame, bytes),
    );
    this.#pump();
  }

  /** Resolves when every record has been acknowledged. */
  async drained(): Promise<void> {
    while (!this.#options.spool.empty) await this.#options.spool.progress();
  }

  /**
   * Asks the launch agent, again on the next attachment when this one breaks. Rejects with RequestError when it gives
   * the request up, with the signal's reason when that aborts.
   */
  async ask<T>(request: Request, exchange: Exchange<T>): Promise<T> {
    for (;;) {
      exchange.signal.throwIfAborted();
      while (this.#epoch === 0) await this.#change(exchange.signal);
      const epoch = this.#epoch;
      try {
        return await this.#exchange(request, exchange);
      } catch (error) {
        exchange.signal.throwIfAborted();
        if (!(error instanceof BrokenError) && !(await this.#broke(epoch, error))) throw error;
      }
    }
  }

  async #exchange<T>(request: Request, exchange: Exchange<T>): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    const transfer = new Transfer(id, (bytes) => void this.#send({ type: "credit", id, bytes }));
    this.#transfers.set(id, transfer);
    const onAbort = (): void => transfer.fail(new BrokenError("aborted"));
    exchange.signal.addEventListener("abort", onAbort, { once: true });
    try {
      void this.#send({ type: "request", id, request });
      if (exchange.send) this.#upload(transfer, exchange.send()).catch((error: Error) => transfer.fail(error));
      return await exchange.receive(await transfer.response, transfer.body());
    } catch (error) {
      // Harmless where the other side has given it up itself.
      void this.#send({ type: "abort", id, message: error instanceof Error ? error.message.slice(0, 4096) : "" });
      throw error;
    } finally {
      exchange.signal.removeEventListener("abort", onAbort);
      transfer.fail(new BrokenError("over"));
      this.#transfers.delete(id);
    }
  }

  async #upload(transfer: Transfer, source: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.byteLength; at += maxDataBytes) {
        const piece = chunk.subarray(at, at + maxDataBytes);
        if (!(await transfer.takeCredit(piece.byteLength))) return;
        await this.#send({ type: "data", id: transfer.id }, piece);
      }
      if (!transfer.open) return;
    }
    await this.#send({ type: "end", id: transfer.id });
  }

  /** Half a frame of data may be filled up with the next attachment's padding, and fail before the marker is here. */
  async #broke(epoch: number, error: unknown): Promise<boolean> {
    if (error instanceof RequestError) return false;
    if (this.#epoch !== epoch) return true;
    await this.#change(AbortSignal.timeout(breakNewsMs)).catch(() => {});
    return this.#epoch !== epoch;
  }

  /** Resolves when the frame is on its way, or void because the attachment is over. */
  async #send(frame: UpFrame, body?: Uint8Array): Promise<void> {
    if (this.#epoch === 0) return;
    this.#control.push(encodeFrame(frame, body));
    const taken = new Promise<void>((resolve) => this.#taken.push(resolve));
    this.#pump();
    await taken;
  }

  #pump(): void {
    while (this.#epoch > 0 && !this.#stalled) {
      const bytes = this.#nextBytes();
      if (!bytes) return;
      this.#stalled = !this.#options.output.write(bytes);
    }
  }

  /** Turn about, so that neither uploads nor records starve the other. */
  #nextBytes(): Buffer | undefined {
    this.#recordsFirst = !this.#recordsFirst;
    return this.#recordsFirst
      ? (this.#options.spool.next() ?? this.#nextControl())
      : (this.#nextControl() ?? this.#options.spool.next());
  }

  #nextControl(): Buffer | undefined {
    this.#taken.shift()?.();
    return this.#control.shift();
  }

  #read(chunk: Buffer): void {
    for (const arrival of this.#reader.push(chunk)) this.#arrive(arrival);
  }

  #arrive(arrival: Arrival): void {
    if (arrival.kind === "marker") this.#begin(arrival.nonce);
    else this.#handle(arrival.frame.header as DownFrame, arrival.frame.body);
  }

  #begin(nonce: Buffer): void {
    this.#epoch += 1;
    for (const resolve of this.#taken.splice(0)) resolve();
    for (const transfer of this.#transfers.values()) transfer.fail(new BrokenError("the attachment ended"));
    this.#transfers.clear();
    this.#options.spool.rewind();
    this.#recordsFirst = false;
    const opening = [
      syncMarker(nonce),
      encodeFrame({ type: "hello", protocol: channelProtocol, version: this.#options.version } satisfies UpFrame),
    ];
    if (this.#accepted) opening.push(encodeFrame({ type: "accepted", ...this.#accepted } satisfies UpFrame));
    // At once, ahead of all else, whether or not the old reader has left us stalled.
    this.#control = [];
    this.#stalled = !this.#options.output.write(Buffer.concat(opening));
    for (const resolve of this.#changed.splice(0)) resolve();
    this.#pump();
  }

  #handle(frame: DownFrame, body: Buffer): void {
    switch (frame.type) {
      case "task":
        return this.#accept(frame, body);
      case "ack":
        return this.#options.spool.ack(frame.seq);
      case "cancel":
        this.#cancels += 1;
        return this.#options.onCancel(frame.status, this.#cancels > 1);
      case "response":
        return this.#transfers.get(frame.id)?.respond(frame.result);
      case "data":
        return this.#transfers.get(frame.id)?.push(body);
      case "end":
        return this.#transfers.get(frame.id)?.end();
      case "credit":
        return this.#transfers.get(frame.id)?.addCredit(frame.bytes);
      case "abort":
        return this.#transfers.get(frame.id)?.fail(new RequestError(frame.message, frame.infrastructure ?? false));
      default:
        // A word that a newer launch agent knows and we do not.
        frame satisfies never;
    }
  }

  #accept(frame: Extract<DownFrame, { type: "task" }>, body: Buffer): void {
    if (this.#accepted) return;
    const work = parseWork(body);
    if (!work) return;
    const { task, attempt, proof } = frame;
    this.#accepted = { task, attempt, ...(proof !== undefined && { proof }) };
    void this.#send({ type: "accepted", ...this.#accepted });
    this.#options.onTask(work);
  }

  async #change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      this.#changed.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}

/** Undefined for half a frame that the next attachment's padding has filled up: the task is handed over again then. */
function parseWork(body: Buffer): Work | undefined {
  try {
    return JSON.parse(body.toString("utf8")) as Work;
  } catch {
    return undefined;
  }
}
