import type { Readable } from "node:stream";
import type { Request, ResponseResult } from "../../protocol/channel.ts";
import type { Blobs, Download } from "../api/blobs.ts";
import { ApiFailure } from "../api/failure.ts";
import type { TransferFrame } from "../channel/channel.ts";
import { Credit, sendDownload } from "../channel/download.ts";
import { Upload } from "../channel/upload.ts";
import { ChannelViolation } from "../channel/violation.ts";
import type { FrameWriter } from "../channel/writer.ts";

/** What this needs of the control plane. */
export type BlobCalls = Pick<Blobs, keyof Blobs>;

export interface RequestRelayOptions {
  blobs: BlobCalls;
  writer: FrameWriter;
  signal: AbortSignal;
  /** The control plane does not know this attempt any more. */
  onFenced: (failure: ApiFailure) => void;
  /** The container broke the protocol in what it was sent, not in what it sent: it does not read. */
  onViolation: (violation: ChannelViolation) => void;
}

interface Open {
  upload?: Upload;
  credit?: Credit;
  abort: AbortController;
}

/** Far more than any task agent has open; each holds up to two credits of bytes. */
const mostOpen = 16;
/** With those that were given up and are still being ended: else a task could begin and give up as fast as it can write. */
const mostRunning = 4 * mostOpen;
const messageChars = 4096;

/**
 * Does with the control plane what the task agent asks for, and carries the bytes. Ids grow, so whatever comes for an
 * id at or under the newest one that is not open any more is late, and is dropped; above it is a violation.
 */
export class RequestRelay {
  readonly #options: RequestRelayOptions;
  readonly #open = new Map<number, Open>();
  readonly #running = new Set<Promise<void>>();
  #newestId = 0;

  constructor(options: RequestRelayOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#abortAll(), { once: true });
  }

  frame(frame: TransferFrame, body: Buffer): void {
    if (frame.type === "request") return this.#onRequest(frame.id, frame.request);
    const open = this.#open.get(frame.id);
    if (!open) {
      if (frame.id > this.#newestId) throw new ChannelViolation(`${frame.type} for request ${frame.id}, never made`);
      return;
    }
    switch (frame.type) {
      case "data":
        return uploadOf(open, frame.type).data(body);
      case "end":
        return uploadOf(open, frame.type).end();
      case "credit":
        if (!open.credit) throw new ChannelViolation("credit for a transfer that goes the other way");
        return open.credit.grant(frame.bytes);
      case "abort":
        return this.#close(frame.id, new Error(`the task gave it up: ${frame.message}`));
      default:
        return frame satisfies never;
    }
  }

  /** When nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #onRequest(id: number, request: Request): void {
    if (id <= this.#newestId) throw new ChannelViolation(`request id ${id} after ${this.#newestId}: ids have to grow`);
    if (this.#open.size >= mostOpen) throw new ChannelViolation(`more than ${mostOpen} requests at once`);
    if (this.#running.size >= mostRunning)
      throw new ChannelViolation(`more than ${mostRunning} requests begun at once`);
    this.#newestId = id;
    const open = this.#prepare(id, request);
    this.#open.set(id, open);
    const run = this.#run(id, request, open);
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
  }

  #prepare(id: number, request: Request): Open {
    const abort = new AbortController();
    if (isUpload(request)) {
      const grant = (bytes: number) => this.#send(() => this.#options.writer.send({ type: "credit", id, bytes }));
      return { abort, upload: new Upload(grant) };
    }
    return { abort, credit: new Credit() };
  }

  /** Never rejects. */
  async #run(id: number, request: Request, open: Open): Promise<void> {
    try {
      const { result, download } = await this.#ask(request, open);
      if (open.abort.signal.aborted) return;
      this.#options.writer.send({ type: "response", id, result });
      if (!download || !open.credit) return;
      const target = { id, credit: open.credit, writer: this.#options.writer, signal: open.abort.signal };
      await sendDownload(download.body as AsyncIterable<Buffer>, target);
    } catch (error) {
      if (open.abort.signal.aborted) return;
      this.#refuse(id, request, error);
    } finally {
      this.#close(id, new Error("the request is over"));
    }
  }

  async #ask(request: Request, open: Open): Promise<{ result: ResponseResult; download?: Download }> {
    const { blobs } = this.#options;
    const signal = open.abort.signal;
    const body = (): Readable => uploadOf(open, request.op).stream;
    switch (request.op) {
      case "restore-cache":
        return streaming(await blobs.restoreCache(request.keys, signal));
      case "has-cache":
        return { result: { streams: false, stored: await blobs.hasCache(request.key, signal) } };
      case "save-cache":
        return { result: { streams: false, stored: await blobs.saveCache(request.key, body(), signal) } };
      case "list-workspace":
        return { result: { streams: false, layers: (await blobs.workspaceLayers(signal)).layers } };
      case "fetch-workspace":
        return streaming(await blobs.fetchLayer(request.layer, signal));
      case "persist-workspace":
        await blobs.persistLayer(request.step, body(), signal);
        return { result: { streams: false } };
      case "store-artifact":
        await blobs.storeArtifact(request.path, body(), signal);
        return { result: { streams: false } };
      case "store-test-results":
        await blobs.storeTestResults(request.step, body(), signal);
        return { result: { streams: false } };
      case "continue-pipeline":
        await blobs.continuePipeline(body(), signal);
        return { result: { streams: false } };
      case "checkout":
        return streaming(await blobs.source({ method: request.method, depth: request.depth }, signal));
      default:
        return request satisfies never;
    }
  }

  #refuse(id: number, request: Request, error: unknown): void {
    if (error instanceof ChannelViolation) return this.#options.onViolation(error);
    if (error instanceof ApiFailure && error.fenced) this.#options.onFenced(error);
    const why = error instanceof Error ? error.message : String(error);
    const message = `${request.op}: ${why}`.slice(0, messageChars);
    const infrastructure = !(error instanceof ApiFailure) || error.retryable;
    this.#send(() => this.#options.writer.send({ type: "abort", id, message, infrastructure }));
  }

  #send(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof ChannelViolation)) throw error;
      this.#options.onViolation(error);
    }
  }

  #close(id: number, reason: Error): void {
    const open = this.#open.get(id);
    if (!open) return;
    this.#open.delete(id);
    open.abort.abort(reason);
    open.upload?.abort(reason);
  }

  #abortAll(): void {
    for (const id of this.#open.keys()) this.#close(id, new Error("the task is over"));
  }
}

function isUpload(request: Request): boolean {
  return (
    request.op === "save-cache" ||
    request.op === "persist-workspace" ||
    request.op === "store-artifact" ||
    request.op === "store-test-results" ||
    request.op === "continue-pipeline"
  );
}

function uploadOf(open: Open, what: string): Upload {
  if (!open.upload) throw new ChannelViolation(`${what} for a transfer that goes the other way`);
  return open.upload;
}

function streaming(download: Download | undefined): { result: ResponseResult; download?: Download } {
  if (!download) return { result: { streams: false } };
  const { key, sizeBytes } = download;
  const result: ResponseResult = {
    streams: true,
    ...(key === undefined ? {} : { key }),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
  };
  return { result, download };
}
