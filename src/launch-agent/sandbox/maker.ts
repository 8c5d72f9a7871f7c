import { isEngineError } from "../../engine/engine.ts";
import { isProblem } from "../plan/problem.ts";
import type { Ground } from "../task/ground.ts";
import type { SandboxNeed } from "./need.ts";
import type { RuleSource } from "./rule-source.ts";
import type { Rules } from "./rules.ts";
import { Sandbox } from "./sandbox.ts";

/** Beyond what any task may take. */
const lifeMs = 25 * 3_600_000;

/** Why there is none. */
export class SandboxError extends Error {
  override name = "SandboxError";
}

export interface Making {
  /** Of its container. */
  name: string;
  rules: Rules;
  localNames: readonly string[];
  /** Whether nobody needs it any more. */
  isServed: () => boolean;
}

/** Makes sandboxes, each when its turn has come. All that goes wrong is SandboxError, but for EngineError `unreachable`. */
export class SandboxMaker {
  readonly #ground: Ground;
  readonly #source: RuleSource;
  readonly #signal: AbortSignal;

  /** `signal`: makes none any more. */
  constructor(ground: Ground, options: { source: RuleSource; signal: AbortSignal }) {
    this.#ground = ground;
    this.#source = options.source;
    this.#signal = options.signal;
  }

  async rules(need: SandboxNeed): Promise<Rules> {
    const rules = await this.#source.rules(need.network).catch((cause: unknown) => {
      throw failureOf(cause);
    });
    if (isProblem(rules)) throw new SandboxError(rules.problem);
    return rules;
  }

  /** Undefined where nobody needs it any more once its turn has come. */
  async make(making: Making): Promise<Sandbox | undefined> {
    try {
      return await this.#ground.gate.run(async () => (making.isServed() ? undefined : await this.#makeTwice(making)));
    } catch (cause) {
      throw failureOf(cause);
    }
  }

  /** Another agent of this host may take the network away, when it ends and nothing is on it. */
  async #makeTwice({ name, rules, localNames }: Making): Promise<Sandbox> {
    const order = { rules, localNames, lifeMs };
    this.#signal.throwIfAborted();
    try {
      return await Sandbox.make(await this.#source.kit(), name, order);
    } catch (error) {
      if (!isEngineError(error, "not-found")) throw error;
      this.#source.forgetNetwork();
      return await Sandbox.make(await this.#source.kit(), name, order);
    }
  }
}

/** An engine that is away is waited for by whoever asked, as with every other container. */
function failureOf(cause: unknown): Error {
  if (isEngineError(cause, "unreachable")) return cause;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new SandboxError(`no sandbox can be made: ${words}`, { cause });
}
