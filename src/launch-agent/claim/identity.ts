import type { Clock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";
import type { OpenSession } from "../../protocol/agent-api.ts";
import type { AgentApi } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { errorFacts, type Log } from "../log.ts";
import { orAbort, settledWithin } from "../task/or-abort.ts";
import type { ClaimTokens } from "./tokens.ts";

export interface IdentityOptions {
  api: Pick<AgentApi, "openSession" | "closeSession">;
  request: OpenSession;
  /** Of the classes that are served. */
  tokens: ClaimTokens;
  clock: Clock;
  log: Log;
}

const closeMs = 2_000;

/**
 * Whether this process is the agent of its name, in each class that it serves: only then may it claim there, take up what an
 * earlier one was running, and clear away what that has left.
 */
export class Identity implements ClaimTokens {
  readonly #options: IdentityOptions;
  /** Those that this process has opened a session with. */
  readonly #open = new Set<Secret>();
  readonly #opening = new Map<Secret, Promise<void>>();
  readonly #closing = new AbortController();
  #opened = Promise.withResolvers<void>();
  #isTold = false;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** Tokens of the classes in which the name is ours now. */
  get open(): ReadonlySet<Secret> {
    return this.#open;
  }

  /** Resolves when the name becomes ours in one class more. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Tokens of the classes in which the name is ours. Rejects with ApiFailure where it is in none: `name-taken`, or no answer. */
  async usable(signal: AbortSignal): Promise<Secret[]> {
    const tokens = await this.#options.tokens.usable(signal);
    const ours: Secret[] = [];
    let taken: ApiFailure | undefined;
    for (const token of tokens) {
      try {
        await orAbort(this.#openOnce(token), signal);
        ours.push(token);
      } catch (error) {
        if (!isNameTaken(error)) throw error;
        taken = error;
        this.#tell(error);
      }
    }
    if (taken && ours.length === 0) throw taken;
    return ours;
  }

  doubt(): void {
    this.#options.tokens.doubt();
  }

  /** A claim was refused: another process has the name now. */
  lost(error: ApiFailure): void {
    this.#open.clear();
    this.#tell(error);
  }

  /** Gives the name back, so that the next process need not wait. Never rejects. */
  async close(): Promise<void> {
    const { api, request, clock } = this.#options;
    const { signal } = this.#closing;
    const closed = [...this.#open].map(async (token) => await api.closeSession(request, { token, signal }));
    this.#open.clear();
    await settledWithin(Promise.allSettled(closed), closeMs, clock);
    this.#closing.abort(new Error("closing"));
  }

  /** One question at a time: the control plane takes its time to make sure. */
  async #openOnce(token: Secret): Promise<void> {
    if (this.#open.has(token)) return;
    const opening = this.#opening.get(token) ?? this.#openNow(token);
    this.#opening.set(token, opening);
    try {
      await opening;
    } finally {
      this.#opening.delete(token);
    }
  }

  async #openNow(token: Secret): Promise<void> {
    const { api, request } = this.#options;
    await api.openSession(request, { token, signal: this.#closing.signal });
    this.#open.add(token);
    this.#isTold = false;
    this.#opened.resolve();
    this.#opened = Promise.withResolvers();
  }

  #tell(error: ApiFailure): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#options.log.error(errorFacts(error), "another process has the name of this agent");
  }
}

export function isNameTaken(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && error.code === "name-taken";
}
