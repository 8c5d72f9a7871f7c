import { Agent, IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import Docker from "dockerode";
import { EngineError } from "../engine.ts";
import { describeAddress, type EngineAddress } from "./address.ts";
import { withDeadline } from "./deadline.ts";
import { errorOfAnswer, errorOfTransport } from "./errors.ts";
import type { Situation } from "./words.ts";

export interface EngineRequest {
  method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Without the version: `/containers/json`. */
  path: string;
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
 * HTTP to one engine over dockerode's connection handling (sockets, TCP, TLS), keep-alive.
 *
 * Its own calls are not used: when a connection breaks in the middle of an answer they neither call back nor fail.
 */
export class Transport {
  readonly address: string;
  readonly #docker: Docker;
  readonly #timeoutMs: number;

  constructor(options: { address: EngineAddress; timeoutMs: number; version?: string }) {
    this.address = describeAddress(options.address);
    this.#timeoutMs = options.timeoutMs;
    this.#docker = new Docker(dockerodeOptions(options.address, options.version));
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
      // An empty body with a length: anything else that follows the head could end up in the container's stdin.
      const result = await this.#request({ ...request, archive: Buffer.alloc(0) }, { hijack: true, signal });
      if (result instanceof Socket) {
        if (signal.aborted) result.destroy();
        return result;
      }
      await this.#answer(request, result, []);
      throw new EngineError("failed", `${request.what}: the engine at ${this.address} did not open a raw connection`);
    });
  }

  #deadline(request: EngineRequest): { signal: AbortSignal; timeoutMs: number | undefined; what: string } {
    const timeoutMs = request.timeoutMs === "none" ? undefined : (request.timeoutMs ?? this.#timeoutMs);
    return { signal: request.signal, timeoutMs, what: request.what };
  }

  async #dial(request: EngineRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const result = await this.#request(request, { hijack: false, signal });
    if (!(result instanceof Socket)) return result;
    result.destroy();
    throw new EngineError("failed", `${request.what}: the engine at ${this.address} answered with a raw connection`);
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
    const answer = { status, message: messageOf(body) };
    throw errorOfAnswer(answer, request.what, request.situation ?? "other");
  }

  async #request(
    request: EngineRequest,
    options: { hijack: boolean; signal: AbortSignal },
  ): Promise<IncomingMessage | Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | Socket>();
    this.#docker.modem.dial(dialOptions(request, options), (error, result) => {
      if (result instanceof Socket || result instanceof IncomingMessage) resolve(result);
      else reject(errorOfTransport(error, request.what, this.address));
    });
    return await promise;
  }
}

/** Every status is an answer to dockerode; what it means is decided here, and its body read with care. */
const everyStatus: Record<number, true> = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [index + 100, true]),
);

function dialOptions(
  request: EngineRequest,
  options: { hijack: boolean; signal: AbortSignal },
): Parameters<Docker["modem"]["dial"]>[0] {
  return {
    method: request.method,
    path: `${request.path}?`,
    options: { _query: request.query ?? {}, _body: request.body ?? {} },
    isStream: true,
    statusCodes: everyStatus,
    abortSignal: options.signal,
    hijack: options.hijack,
    ...(request.archive === undefined ? {} : { file: request.archive }),
    ...(request.headers === undefined ? {} : { headers: { ...request.headers } }),
  };
}

function dockerodeOptions(address: EngineAddress, version: string | undefined): Docker.DockerOptions {
  // Every field is set, also to undefined: dockerode fills the others from the environment.
  const common = { version, timeout: undefined, connectionTimeout: undefined, sshOptions: undefined };
  if (address.kind === "socket") {
    const agent = new Agent({ keepAlive: true });
    return { ...common, agent, socketPath: address.path, ...noHost } as unknown as Docker.DockerOptions;
  }
  const tls = address.tls;
  const agent = tls === undefined ? new Agent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true, ...tls });
  const host = { host: address.host, port: address.port, protocol: tls === undefined ? "http" : "https" };
  const keys = { ca: tls?.ca, cert: tls?.cert, key: tls?.key };
  return { ...common, agent, socketPath: undefined, ...host, ...keys } as unknown as Docker.DockerOptions;
}

const noHost = { host: undefined, port: undefined, protocol: "http", ca: undefined, cert: undefined, key: undefined };

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

function messageOf(body: Buffer): string {
  const text = body.toString("utf8").trim();
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && "message" in parsed && typeof parsed.message === "string")
      return parsed.message.trim();
  } catch {
    // Proxies answer in HTML or plain text: then their text is all that there is to tell.
  }
  return text.slice(0, 1000);
}
