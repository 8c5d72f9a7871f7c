import { isEngineError } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";
import type { OpenSession } from "../../protocol/agent-api.ts";
import type { AgentApi } from "../api/client.ts";
import type { ApiFailure } from "../api/failure.ts";
import { retryPauseMs } from "../api/retry.ts";
import { Identity } from "../claim/identity.ts";
import type { ClassTokens } from "../claim/tokens.ts";
import { errorFacts, type Log } from "../log.ts";
import { label } from "../plan/labels.ts";
import { classesOn } from "../plan/owner.ts";
import type { Adoptable } from "../task/adoptable.ts";
import type { TaskContext } from "../task/context.ts";
import { orAbort } from "../task/or-abort.ts";
import { adoptTasks } from "./adoption.ts";

export interface SuccessionOptions {
  api: AgentApi;
  session: OpenSession;
  /** Of the control plane, see scopeOf. */
  scope: string | undefined;
  tokens: ClassTokens;
  owns: (labels: Readonly<Record<string, string>>) => boolean;
  clock: Clock;
  random: () => number;
  log: Log;
}

export interface Adopting {
  adopt: (one: Adoptable) => void;
  /** What is not in the hands of this process now, and may be cleared (see mayClear), is nobody's. */
  onLooked: () => void;
}

/**
 * Makes a process the successor of those that were this agent before: in each class as soon as the name is its own there, and again
 * after it was another one's.
 */
export class Succession {
  readonly identity: Identity;
  readonly #options: SuccessionOptions;
  /** Tokens of the classes in which all was taken up that could be, since the name is ours. */
  #looked = new Set<Secret>();

  constructor(options: SuccessionOptions) {
    const { api, session, tokens, clock, log } = options;
    this.#options = options;
    this.identity = new Identity({ api, request: session, tokens, clock, log });
  }

  /** Whether all is taken up that was, or is, to be had. */
  get isDone(): boolean {
    const { open } = this.identity;
    return open.size > 0 && [...open].every((token) => this.#looked.has(token));
  }

  /** Whether what carries these labels is nobody's, unless it is in the hands of this process. */
  mayClear(labels: Readonly<Record<string, string>>): boolean {
    return this.#isLeft(
      labels,
      [...this.identity.open].filter((token) => this.#looked.has(token)),
    );
  }

  /** Another process has the name now: what it makes of it has to be taken up anew. */
  lost(error: ApiFailure): void {
    this.#looked = new Set();
    this.identity.lost(error);
  }

  /** Rejects only when the signal fires. */
  async run(context: TaskContext, adopting: Adopting, signal: AbortSignal): Promise<void> {
    for (;;) {
      const { opened } = this.identity;
      await this.#takeUp(context, adopting, signal);
      await orAbort(opened, signal);
    }
  }

  /** What earlier ones were running, as soon as that can be had. */
  async #takeUp(context: TaskContext, { adopt, onLooked }: Adopting, signal: AbortSignal): Promise<void> {
    const { api, session, owns, clock, random, log } = this.#options;
    for (let failures = 0; ; failures++) {
      try {
        const tokens = await this.identity.usable(signal);
        const looked = this.#looked;
        if (tokens.every((token) => looked.has(token))) return;
        const isLeft = (labels: Readonly<Record<string, string>>) => this.#isLeft(labels, tokens) && !owns(labels);
        for (const one of await adoptTasks({ ground: context, api, session, tokens, isLeft, signal })) adopt(one);
        for (const token of tokens) looked.add(token);
        return onLooked();
      } catch (error) {
        signal.throwIfAborted();
        log.warn(errorFacts(error), "cannot look yet for what an earlier process of this agent runs");
        if (isEngineError(error, "unreachable")) context.presence.lost(error);
        await clock.sleep(retryPauseMs(failures, undefined, random), signal);
        await context.presence.back(signal);
      }
    }
  }

  /**
   * Whether it is of this agent, in these of its classes. A class whose token is refused is nobody's: one that was taken away must not
   * keep the others from being cleared.
   */
  #isLeft(labels: Readonly<Record<string, string>>, held: readonly Secret[]): boolean {
    const { session, scope, tokens } = this.#options;
    if (labels[label.agent] !== session.name || labels[label.scope] !== scope) return false;
    const ours = new Set(held.flatMap((token) => tokens.wordsOf(token)));
    const words = classesOn(labels);
    return words.some((word) => ours.has(word)) && words.every((word) => ours.has(word) || tokens.isRefused(word));
  }
}
