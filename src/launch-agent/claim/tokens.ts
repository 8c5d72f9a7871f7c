import type { Clock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";
import type { AgentApi } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { errorFacts, type Log } from "../log.ts";
import { type ServedClass, wordOf } from "../plan/owner.ts";

/** What the claim loop knows of its tokens. */
export interface ClaimTokens {
  /** Those to claim with, at least one. Rejects with ApiFailure: no answer, or a refusal of all of them. */
  usable(signal: AbortSignal): Promise<Secret[]>;
  /** A claim failed: what was known may not hold any more. */
  doubt(): void;
}

export interface ClassTokensOptions {
  tokens: readonly ServedClass[];
  api: Pick<AgentApi, "classOf">;
  clock: Clock;
  log: Log;
}

interface Known {
  token: Secret;
  /** In labels. */
  word: string;
  /** As the operator named it. */
  name: string | undefined;
  /** As the control plane names it; undefined when it refused the token, or was not asked yet. */
  resourceClass: string | undefined;
  /** As it was last said in the log. */
  refusal: string | undefined;
}

/** What was refused is asked about again after so long: tokens are replaced, classes made. */
const askAgainMs = 60_000;

/** Tokens of several classes, each asked about before it is used, so that one that is refused keeps none of the others from working. */
export class ClassTokens implements ClaimTokens {
  readonly #options: ClassTokensOptions;
  readonly #known: Known[];
  #askedAtMs: number | undefined;

  constructor(options: ClassTokensOptions) {
    this.#options = options;
    this.#known = options.tokens.map(({ token, name }) => ({
      token,
      word: wordOf({ token, ...(name === undefined ? {} : { name }) }),
      name,
      resourceClass: undefined,
      refusal: undefined,
    }));
  }

  /** Names of the classes that are served, as far as it is known. */
  get classes(): string[] {
    return this.#known.flatMap(({ resourceClass }) => (resourceClass === undefined ? [] : [resourceClass]));
  }

  /** What labels may call the class of this token. */
  wordsOf(token: Secret): string[] {
    const known = this.#known.find((each) => each.token === token);
    if (known?.resourceClass === undefined) return [];
    return [known.word, known.resourceClass];
  }

  /** Whether this is the class of a token that the control plane refuses. */
  isRefused(word: string): boolean {
    return this.#known.some((known) => known.word === word && known.refusal !== undefined);
  }

  async usable(signal: AbortSignal): Promise<Secret[]> {
    if (this.#isStale()) await this.#ask(signal);
    const usable = this.#known.filter(({ resourceClass }) => resourceClass !== undefined);
    return usable.map(({ token }) => token);
  }

  doubt(): void {
    this.#askedAtMs = undefined;
  }

  #isStale(): boolean {
    if (this.#askedAtMs === undefined) return true;
    const everybody = this.#known.every(({ resourceClass }) => resourceClass !== undefined);
    return !everybody && this.#options.clock.monotonic() - this.#askedAtMs > askAgainMs;
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const refusals: ApiFailure[] = [];
    for (const known of this.#known) {
      try {
        const { resource_class } = await this.#options.api.classOf(known.token, signal);
        this.#compare(known, resource_class);
        this.#accept(known, resource_class);
      } catch (error) {
        if (!(error instanceof ApiFailure) || !error.refusesToken) throw error;
        refusals.push(error);
        this.#refuse(known, error);
      }
    }
    const [refusal] = refusals;
    if (refusal && this.classes.length === 0) throw refusal;
    this.#askedAtMs = this.#options.clock.monotonic();
  }

  #compare({ name }: Known, resourceClass: string): void {
    if (name === undefined || name === resourceClass) return;
    throw new ApiFailure(`the token is one of ${resourceClass}, not of ${name}`, { status: 403, code: "wrong-class" });
  }

  #accept(known: Known, resourceClass: string): void {
    if (known.resourceClass === undefined) this.#options.log.info({ class: resourceClass }, "serving a resource class");
    known.resourceClass = resourceClass;
    known.refusal = undefined;
  }

  #refuse(known: Known, error: ApiFailure): void {
    known.resourceClass = undefined;
    if (known.refusal === error.message) return;
    known.refusal = error.message;
    this.#options.log.error(
      { ...(known.name === undefined ? {} : { class: known.name }), ...errorFacts(error) },
      "the control plane refuses the token of a resource class",
    );
  }
}
