import type { Readable } from "node:stream";
import { type Dispatcher, Pool } from "undici";
import type { z } from "zod";
import type { Secret } from "../../lib/secret.ts";
import { ApiError } from "../../protocol/agent-api.ts";
import { connectTimeoutMs, keepAliveMs } from "./connection.ts";
import { startDeadline } from "./deadline.ts";
import { ApiFailure, passes } from "./failure.ts";
import { connectionInWords } from "./words.ts";

export interface ApiAddress {
  /** `https://host[:port][/prefix]`; with `socketPath` its host is only a name. */
  baseUrl: string;
  socketPath?: string;
  /** Through a proxy, or with authorities of its own. Closed with the API. */
  connection?: Dispatcher | undefined;
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
/** The call itself is too big, whoever says so: it is no smaller at another try. */
const tooBig: readonly number[] = [413, 414, 431];

/** HTTP as this agent needs it. Every call has a deadline; what fails is an ApiFailure, or the caller's own abort. */
export class Http {
  readonly #connection: Dispatcher;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #userAgent: string;
  readonly #onFailure: ((failure: ApiFailure) => void) | undefined;

  constructor(address: ApiAddress, userAgent: string, onFailure?: (failure: ApiFailure) => void) {
    this.#onFailure = onFailure;
    const url = new URL(address.baseUrl);
    this.#prefix = url.pathname.replace(/\/+$/, "");
    this.#userAgent = userAgent;
    this.#origin = url.origin;
    // One connection a call under way: a long poll must not stand before anything else.
    this.#connection =
      address.connection ??
      new Pool(url.origin, {
        pipelining: 1,
        keepAliveTimeout: keepAliveMs,
        connect: { timeout: connectTimeoutMs, ...(address.socketPath ? { socketPath: address.socketPath } : {}) },
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
      const answer = await this.#connection.request({
        origin: this.#origin,
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
      throw this.#failed(noAnswer(call, cause));
    }
  }

  /** A call with a small answer, read whole. Fails on every status that is not in `expect`, and on one of an error in foreign words. */
  async text(call: Call, expect: readonly number[]): Promise<{ status: number; text: string }> {
    const deadline = startDeadline(call.timeoutMs, call.signal);
    try {
      const answer = await this.open({ ...call, signal: deadline.signal });
      const text = await readText(answer.body);
      const isExpected = expect.includes(answer.status) && (answer.status < 400 || parseError(text) !== undefined);
      if (!isExpected) throw this.#failed(refusal(call, answer, text));
      return { status: answer.status, text };
    } catch (error) {
      call.signal.throwIfAborted();
      throw error instanceof ApiFailure ? error : this.#failed(noAnswer(call, error));
    } finally {
      deadline.clear();
    }
  }

  #failed(failure: ApiFailure): ApiFailure {
    this.#onFailure?.(failure);
    return failure;
  }

  async close(): Promise<void> {
    await this.#connection.destroy();
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
  const { status } = answer;
  const said = parseError(text);
  const retryAfterMs = retryAfter(answer.header("retry-after"), answer.header("date"));
  const facts = retryAfterMs === undefined ? {} : { retryAfterMs };
  const to = status >= 300 && status < 400 ? ` It sends to ${quote(answer.header("location") ?? "")}.` : "";
  const words = `${call.method} ${call.path}: ${status} ${said?.message ?? quote(text)}`;
  if (!said && isForeign(call, answer)) {
    const guess = "Is there a proxy in between? Check CIRCLECI_RUNNER_API_URL.";
    return new ApiFailure(`${words} does not come from a control plane. ${guess}${to}`, {
      code: "bad-answer",
      ...facts,
    });
  }
  return new ApiFailure(`${words}${to}`, { status, code: said?.code ?? "unknown", ...facts });
}

/**
 * Whether an answer that is no ApiError is somebody else's: a proxy's, while nothing is behind it. Its word on a token or a
 * task means nothing. What passes, or never does, is the same whoever says it.
 */
function isForeign({ method }: Call, answer: Answer): boolean {
  if (passes(answer.status) || tooBig.includes(answer.status)) return false;
  // There is no body to tell it by: the control plane names the type of the one that it would have sent.
  return method !== "HEAD" || answer.header("content-type")?.startsWith("application/json") !== true;
}

function noAnswer(call: Call, cause: unknown): ApiFailure {
  return new ApiFailure(`${call.method} ${call.path}: no answer from the control plane: ${connectionInWords(cause)}`, {
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

/** Seconds, or a date, which is compared with the server's own. */
function retryAfter(header: string | undefined, date: string | undefined): number | undefined {
  if (!header) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.parse(date ?? "");
  return ms >= 0 ? ms : undefined;
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function quote(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  if (line === "") return "(empty)";
  return JSON.stringify(line.length > quoteChars ? `${line.slice(0, quoteChars)}…` : line);
}
