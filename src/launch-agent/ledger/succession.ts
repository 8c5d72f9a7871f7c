import { isEngineError } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { OpenSession } from "../../protocol/agent-api.ts";
import type { AgentApi } from "../api/client.ts";
import { retryPauseMs } from "../api/retry.ts";
import { Identity, type IdentityOptions } from "../claim/identity.ts";
import { errorFacts, type Log } from "../log.ts";
import type { Adoptable } from "../task/adoptable.ts";
import type { TaskContext } from "../task/context.ts";
import { adoptTasks } from "./adoption.ts";

export interface SuccessionOptions {
  api: AgentApi;
  session: OpenSession;
  tokens: IdentityOptions["tokens"];
  owns: (labels: Readonly<Record<string, string>>) => boolean;
  clock: Clock;
  random: () => number;
  log: Log;
}

/** Makes a process the successor of those that were this agent before. */
export class Succession {
  readonly identity: Identity;
  readonly #options: SuccessionOptions;
  #isDone = false;

  constructor(options: SuccessionOptions) {
    const { api, session, tokens, clock, log } = options;
    this.#options = options;
    this.identity = new Identity({ api, request: session, tokens, clock, log });
  }

  /** Whether all that is this agent's, and not in the hands of this process, is nobody's. */
  get mayClear(): boolean {
    return this.#isDone && this.identity.isOurs;
  }

  /** Takes up what earlier ones were running, as soon as that can be had. Rejects only when the signal fires. */
  async run(context: TaskContext, adopt: (one: Adoptable) => void, signal: AbortSignal): Promise<void> {
    const { api, session, owns, clock, random, log } = this.#options;
    for (let failures = 0; !this.#isDone; failures++) {
      try {
        const tokens = await this.identity.usable(signal);
        for (const one of await adoptTasks({ ground: context, api, session, tokens, owns, signal })) adopt(one);
        this.#isDone = true;
      } catch (error) {
        signal.throwIfAborted();
        log.warn(errorFacts(error), "cannot look yet for what an earlier process of this agent runs");
        if (isEngineError(error, "unreachable")) context.presence.lost(error);
        await clock.sleep(retryPauseMs(failures, undefined, random), signal);
        await context.presence.back(signal);
      }
    }
  }
}
