import type { Readable } from "node:stream";
import { Pool } from "undici";
import type { z } from "zod";
import type { Secret } from "../../lib/secret.ts";
import { ApiError } from "../../protocol/agent-api.ts";
import { startDeadline } from "./deadline.ts";
import { ApiFailure } from "./failure.ts";

export interface ApiAddress {
  /** `https://host[:port][/prefix]`; with `socketPath` its host is only a name. */
  baseUrl: string;
  socketPath?: string;
}

export interface Call {
  method: "GET" | "HEAD" | "POST" | "PUT";
  path: string;
  query?: [string, string][];
  token: Secret;
  body?: Buffer | Readable;
  contentType?: string;
  /** Until the answer's headers; for calls that are read whole, until the end. */
  timeoutMs: number;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  header(name: string): string | undefined;
  body: Readable;
}

/** Answers that are read into memory: a task with all its steps is the largest. */
const maxTextBytes = 32 * 1024 * 1024;
const quoteChars = 200;

/** HTTP as this agent needs it. Every call has a deadline; what fails is an ApiFailure, or the caller's own abort. */
export class Http {
  readonly #pool: Pool;
  readonly #prefix: string;
  readonly #userAgent: string;

  constructor(address: ApiAddress, userAgent: string) {
    const url = new URL(address.baseUrl);
    this.#prefix = url.pathname.replace(/\/+$/, "");
    this.#userAgent = userAgent;
    // One connection a call under way: a long poll must not stand before anything else.
    this.#pool = new Pool(url.origin, {
      pipelining: 1,
      keepAliveTimeout: 20_000,
      connect: { timeout: 10_000, ...(address.socketPath ? { socketPath: address.socketPath } : {}) },
    });
  }

  /** Any status; the body is the caller's to read or to discard. */
  async open(call: Call): Promise<Answer> {
    const query = call.query?.length ? `?${new URLSearchParams(call.query).toString()}` : "";
    const headers: Record<string, string> = {
      authorization: `Bearer ${call.token.reveal()}`,
      "user-agent": this.#userAgent,
    };
    if (call.contentType) headers["content-type"] = call.contentType;
    try {
      const answer = await this.#pool.request({
        method: call.method,
        path: `${this.#prefix}${call.path}${query}`,
        headers,
        body: call.body ?? null,
        signal: call.signal,
        headersTimeout: call.timeoutMs,
        bodyTimeout: call.timeoutMs,
      });
      return {
        status: answer.statusCode,
        header: (name) => headerText(answer.headers[name]),
        body: answer.body,
      };
    } catch (cause) {
      if (call.signal.aborted) throw call.signal.reason;
      throw noAnswer(call, cause);
    }
  }

  /** A call with a small answer, read whole. Fails on every status that is not in `expect`. */
  async text(call: Call, expect: readonly number[]): Promise<{ status: number; text: string }> {
    const deadline = startDeadline(call.timeoutMs, call.signal);
    try {
      const answer = await this.open({ ...call, signal: deadline.signal });
      const text = await readText(answer.body);
      if (!expect.includes(answer.status)) throw refusal(call, answer, text);
      return { status: answer.status, text };
    } catch (error) {
      call.signal.throwIfAborted();
      throw error instanceof ApiFailure ? error : noAnswer(call, error);
    } finally {
      deadline.clear();
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** An answer that was not expected, in words. Reads its body. */
export async function refused(call: Call, answer: Answer): Promise<ApiFailure> {
  try {
    return refusal(call, answer, await readText(answer.body));
  } catch (cause) {
    return noAnswer(call, cause);
  }
}

/** A body that is not what the protocol says is like no answer: a proxy's page, a cut-off document. Worth another try. */
export function parseAnswer<S extends z.ZodType>(schema: S, text: string, what: string): z.infer<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ApiFailure(`${what}: the answer is not JSON: ${quote(text)}`, { code: "bad-answer", cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue ? `${issue.path.join(".")}: ${issue.message}` : "unknown shape";
  throw new ApiFailure(`${what}: the answer has another shape than this agent knows (${where})`, {
    code: "bad-answer",
    cause: parsed.error,
  });
}

function refusal(call: Call, answer: Answer, text: string): ApiFailure {
  const said = parseError(text);
  const retryAfterMs = retryAfter(answer.header("retry-after"));
  return new ApiFailure(`${call.method} ${call.path}: ${answer.status} ${said?.message ?? quote(text)}`, {
    status: answer.status,
    code: said?.code ?? "unknown",
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function noAnswer(call: Call, cause: unknown): ApiFailure {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ApiFailure(`${call.method} ${call.path}: no answer from the control plane: ${why}`, {
    code: "no-answer",
    cause,
  });
}

async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxTextBytes) throw new Error(`the answer is longer than ${maxTextBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseError(text: string): ApiError | undefined {
  try {
    return ApiError.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Whole seconds; a date is taken as no word at all. */
function retryAfter(header: string | undefined): number | undefined {
  if (!header) return undefined;
  const seconds = Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function quote(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  if (line === "") return "(empty)";
  return JSON.stringify(line.length > quoteChars ? `${line.slice(0, quoteChars)}…` : line);
}
