import type { Readable } from "node:stream";
import { Agent, type Dispatcher, request } from "undici";
import type { z } from "zod";
import { ApiError } from "../../protocol/agent-api.ts";
import { CommandError, exitCode, type Io } from "../io.ts";
import { ConfigErrors, HostUnreachable } from "./errors.ts";
import { failureInWords } from "./failure.ts";
import { type HostOptions, hostRegistry } from "./options.ts";

/** Time for an answer to begin, and between two pieces of it. */
const timeoutMs = 30_000;
const connectMs = 10_000;
const maxAnswerBytes = 64 * 1024 * 1024;

export interface Call<S extends z.ZodType> {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  /** Of the answer. */
  schema: S;
}

/** The control plane that an operator's command speaks to. Everything that goes wrong is a CommandError of one line. */
export class Host implements AsyncDisposable {
  readonly url: string;
  readonly #token: string | undefined;
  readonly #signal: AbortSignal;
  readonly #dispatcher = new Agent({ connect: { timeout: connectMs } });

  private constructor(options: { url: string; token: string | undefined; signal: AbortSignal }) {
    this.url = options.url;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  static of(io: Io, options: HostOptions): Host {
    const registry = hostRegistry(io, options);
    if (!registry)
      throw new CommandError("say which control plane: with --host URL, or CIRCLE_HOST", { exitCode: exitCode.usage });
    return new Host({ url: registry.url, token: registry.token, signal: io.interrupted });
  }

  async call<S extends z.ZodType>({ schema, ...call }: Call<S>): Promise<z.output<S>> {
    const text = await this.#guard(async () => await textOf((await this.#ask(call)).body));
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new HostUnreachable(`${this.url} answered what no control plane answers here: is it of another version?`);
  }

  /** Lines of an answer as they come. It ends, or breaks with HostUnreachable. */
  async *lines(path: string, query: Record<string, string>): AsyncGenerator<string, void, undefined> {
    const { body } = await this.#guard(() => this.#ask({ path, query }));
    body.setEncoding("utf8");
    let rest = "";
    const pieces = body[Symbol.asyncIterator]() as AsyncIterator<string>;
    for (;;) {
      const piece = await this.#guard(() => pieces.next());
      if (piece.done) return;
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  }

  async #ask({
    method = "GET",
    path,
    query = {},
    body,
  }: Omit<Call<never>, "schema">): Promise<Dispatcher.ResponseData> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const answer = await request(url, {
      method,
      dispatcher: this.#dispatcher,
      signal: this.#signal,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      headers: {
        accept: "application/json",
        ...(this.#token === undefined ? {} : { "circle-token": this.#token }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.statusCode >= 300) throw await this.#refusal(answer);
    const type = String(answer.headers["content-type"] ?? "");
    if (/^application\/(json|x-ndjson)/.test(type)) return answer;
    await answer.body.dump();
    throw new HostUnreachable(
      `${this.url} answered with ${type || "nothing"}: there is no control plane. Is the address right?`,
    );
  }

  async #refusal({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<CommandError> {
    const said = ApiError.safeParse(parseJson(await textOf(body)));
    if (said.success && (statusCode === 401 || statusCode === 403))
      return new CommandError(`${this.url} ${this.#refusedToken()}`, { exitCode: exitCode.usage });
    if (statusCode < 400) {
      const where = headers.location === undefined ? "" : ` to ${String(headers.location)}`;
      return new HostUnreachable(`${this.url} sends callers on${where}: name the control plane's own address`);
    }
    if (!said.success)
      return new HostUnreachable(
        `${this.url} answered ${statusCode}, not as a control plane does. Is the address right?`,
      );
    const { code, message } = said.data;
    if (code === "config-errors") return new ConfigErrors(message);
    if (statusCode < 500 && statusCode !== 429)
      return new CommandError(`${message}.`.replace(/\.\.$/, "."), { exitCode: exitCode.usage });
    return new HostUnreachable(`${this.url} answered ${statusCode}: ${message}`);
  }

  #refusedToken(): string {
    return this.#token === undefined
      ? "wants a user token: give it as CIRCLE_TOKEN, or with --token-file"
      : "does not take this token: give a user token of it as CIRCLE_TOKEN, or with --token-file";
  }

  async #guard<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof CommandError) throw error;
      if (this.#signal.aborted) throw new CommandError("interrupted", { exitCode: exitCode.interrupted, cause: error });
      throw new HostUnreachable(`${this.url} ${failureInWords(error, timeoutMs)}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher.destroy();
  }
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxAnswerBytes) throw new Error(`its answer is bigger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
