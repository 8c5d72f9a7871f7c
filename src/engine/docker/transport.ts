import type { ClientRequest, request as HttpRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { http, https } from "../../lib/http.ts";
import { EngineError } from "../engine.ts";
import { describeAddress, type EngineAddress } from "./address.ts";
import { withDeadline } from "./deadline.ts";
import { errorOfAnswer, errorOfTransport } from "./errors.ts";
import type { Situation } from "./words.ts";

export interface EngineRequest {
  method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Without the version: `/containers/json`. */
  path: string;
  /** Absent: what was agreed upon. */
  version?: string;
  query?: Record<string, string>;
  /** Sent as JSON. */
  body?: object;
  /** Sent as it is, as a tar. */
  archive?: Buffer | Readable;
  headers?: Record<string, string>;
  /** For messages: `create container x`. */
  what: string;
  /** How to read the engine's words when it refuses. */
  situation?: Situation;
  signal: AbortSignal;
  /** Absent: the transport's own. `none`: the call takes as long as what it waits for. */
  timeoutMs?: number | "none";
}

export interface Answer {
  status: number;
  body: Buffer;
}

/** Answers beyond this are not ours to read: nothing that we ask for is that big. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * HTTP to one engine, keep-alive. Not dockerode: loading it takes 130 ms, which every `cofferdam exec` would pay, and when
 * a connection breaks in the middle of an answer its calls neither call back nor fail.
 */
export class Transport {
  readonly address: string;
  readonly #timeoutMs: number;
  readonly #prefix: string;
  readonly #target: RequestOptions;
  readonly #start: typeof HttpRequest;

  constructor(options: { address: EngineAddress; timeoutMs: number; version?: string }) {
    this.address = describeAddress(options.address);
    this.#timeoutMs = options.timeoutMs;
    this.#prefix = options.version === undefined ? "" : `/${options.version}`;
    const isPlain = options.address.kind === "socket" || options.address.tls === undefined;
    this.#target = targetOf(options.address);
    this.#start = isPlain ? http.request : https().request;
  }

  /** The whole answer. Statuses ≥ 400 reject as EngineError, but for those in `expected`. */
  async call(request: EngineRequest, expected: readonly number[] = []): Promise<Answer> {
    return await withDeadline(this.#deadline(request), async (signal) => {
      const response = await this.#dial(request, signal);
      return await this.#answer(request, response, expected);
    });
  }

  /** JSON of the answer, unchecked. */
  async json(request: EngineRequest): Promise<unknown> {
    const answer = await this.call(request);
    return parseJson(answer.body, request.what);
  }

  /** Hands the answer's body over as it comes, until `read` is done. Same errors as `call`. */
  async stream<T>(request: EngineRequest, read: (body: IncomingMessage) => Promise<T>): Promise<T> {
    return await withDeadline(this.#deadline(request), async (signal) => {
      const response = await this.#dial(request, signal);
      if (statusOf(response) >= 400) await this.#answer(request, response, []);
      try {
        return await read(response);
      } catch (error) {
        throw error instanceof EngineError ? error : errorOfTransport(error, request.what, this.address);
      } finally {
        response.destroy();
      }
    });
  }

  /** Turns the connection into a raw one. The caller owns the socket. */
  async hijack(request: EngineRequest): Promise<Socket> {
    return await withDeadline(this.#deadline(request), async (signal) => {
      const headers = { Connection: "Upgrade", Upgrade: "tcp" };
      const call = this.#open({ ...request, headers }, signal);
      const { promise, resolve, reject } = Promise.withResolvers<Socket | IncomingMessage>();
      call.on("upgrade", (_response: IncomingMessage, socket: Socket, head: Buffer) => {
        if (head.byteLength > 0) socket.unshift(head);
        if (signal.aborted) socket.destroy();
        resolve(socket);
      });
      call.on("response", resolve);
      call.on("error", (error) => reject(errorOfTransport(error, request.what, this.address)));
      call.end();
      const result = await promise;
      if (!(result instanceof http.IncomingMessage)) return result;
      await this.#answer(request, result, []);
      throw new EngineError("failed", `${request.what}: the engine at ${this.address} did not open a raw connection`);
    });
  }

  #deadline(request: EngineRequest): { signal: AbortSignal; timeoutMs: number | undefined; what: string } {
    const timeoutMs = request.timeoutMs === "none" ? undefined : (request.timeoutMs ?? this.#timeoutMs);
    return { signal: request.signal, timeoutMs, what: request.what };
  }

  async #dial(request: EngineRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const call = this.#open(request, signal);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const fail = (error: unknown): void => reject(errorOfTransport(error, request.what, this.address));
    call.on("response", resolve);
    call.on("error", fail);
    if (request.archive === undefined) call.end(request.body === undefined ? undefined : JSON.stringify(request.body));
    else if (Buffer.isBuffer(request.archive)) call.end(request.archive);
    else pipeline(request.archive, call).catch(fail);
    return await promise;
  }

  async #answer(request: EngineRequest, response: IncomingMessage, expected: readonly number[]): Promise<Answer> {
    const status = statusOf(response);
    let body: Buffer;
    try {
      body = await readAll(response);
    } catch (error) {
      throw errorOfTransport(error, request.what, this.address);
    }
    if (status < 400 || expected.includes(status)) return { status, body };
    const error = errorOfAnswer({ status, message: messageOf(body) }, request.what, request.situation ?? "other");
    if (error.code === "not-found" && expected.includes(404)) return { status: 404, body };
    throw error;
  }

  #open(request: EngineRequest, signal: AbortSignal): ClientRequest {
    const query = request.query === undefined ? "" : `?${new URLSearchParams(request.query).toString()}`;
    const prefix = request.version === undefined ? this.#prefix : `/${request.version}`;
    const type = request.archive === undefined ? "application/json" : "application/x-tar";
    const hasBody = request.archive !== undefined || request.body !== undefined;
    return this.#start({
      ...this.#target,
      method: request.method,
      path: `${prefix}${request.path}${query}`,
      headers: { Host: "engine", ...(hasBody ? { "Content-Type": type } : {}), ...request.headers },
      signal,
    });
  }
}

function targetOf(address: EngineAddress): RequestOptions {
  if (address.kind === "socket") return { agent: new http.Agent({ keepAlive: true }), socketPath: address.path };
  const { host, port, tls } = address;
  return {
    agent: tls === undefined ? new http.Agent({ keepAlive: true }) : new (https().Agent)({ keepAlive: true, ...tls }),
    host,
    port,
  };
}

function statusOf(response: IncomingMessage): number {
  return response.statusCode ?? 0;
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error(`an answer of more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error("the answer broke off in the middle");
  return Buffer.concat(chunks);
}

export function parseJson(body: Buffer, what: string): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new EngineError("failed", `${what}: the engine's answer is not JSON`, { cause });
  }
}

/** Engines repeat what they were sent, which may be long. */
const maxMessageLength = 1000;

function messageOf(body: Buffer): string {
  const text = body.toString("utf8").trim();
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && "message" in parsed && typeof parsed.message === "string")
      return parsed.message.trim().slice(0, maxMessageLength);
  } catch {
    // Proxies answer in HTML or plain text: then their text is all that there is to tell.
  }
  return text.slice(0, maxMessageLength);
}
