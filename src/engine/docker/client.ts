import type { EngineAddress } from "./address.ts";
import { checked, VersionAnswer } from "./answers.ts";
import { withDeadline } from "./deadline.ts";
import { type Dialect, dialectOf } from "./dialect.ts";
import { type Answer, type EngineRequest, Transport } from "./transport.ts";

export interface Session {
  transport: Transport;
  dialect: Dialect;
  version: VersionAnswer;
}

/** One engine, spoken to in the version that was agreed upon with the first call. */
export class Client {
  readonly callTimeoutMs: number;
  /** For calls that make or destroy things: an engine under load takes its time for them. */
  readonly longCallTimeoutMs: number;
  readonly #address: EngineAddress;
  #session: Promise<Session> | undefined;

  constructor(options: { address: EngineAddress; callTimeoutMs: number }) {
    this.#address = options.address;
    this.callTimeoutMs = options.callTimeoutMs;
    this.longCallTimeoutMs = options.callTimeoutMs * 4;
  }

  async session(signal: AbortSignal): Promise<Session> {
    // Shared by all callers, so no caller's signal may end it; a failed one is not kept.
    this.#session ??= this.#open().catch((error: unknown) => {
      this.#session = undefined;
      throw error;
    });
    const session = this.#session;
    return await withDeadline({ signal, timeoutMs: undefined, what: "ask for the version" }, async () => await session);
  }

  /** The session as the engine is now, not as it was at the first call. */
  async freshSession(signal: AbortSignal): Promise<Session> {
    this.#session = undefined;
    return await this.session(signal);
  }

  async call(request: EngineRequest, expected: readonly number[] = []): Promise<Answer> {
    const { transport } = await this.session(request.signal);
    return await transport.call(request, expected);
  }

  async json(request: EngineRequest): Promise<unknown> {
    const { transport } = await this.session(request.signal);
    return await transport.json(request);
  }

  async #open(): Promise<Session> {
    const what = "ask for the version";
    const options = { address: this.#address, timeoutMs: this.callTimeoutMs };
    const transport = new Transport(options);
    const never = new AbortController().signal;
    const answer = await transport.json({ method: "GET", path: "/version", what, signal: never });
    const version = checked(VersionAnswer, answer, what);
    const dialect = dialectOf(version, transport.address);
    return { transport: new Transport({ ...options, version: dialect.apiVersion }), dialect, version };
  }
}
