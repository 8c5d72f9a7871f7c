import type { Clock } from "../../lib/clock.ts";
import { ControlPlaneError } from "../errors.ts";
import { hashToken } from "./tokens.ts";

/** Wrong tokens that one address may try in a row, and how many a second after that. */
const burst = 50;
const perSecond = 5;
/** What is remembered is bounded: the oldest goes first. */
const mostAddresses = 10_000;
const mostTokens = 10_000;
const retryAfterSeconds = 1;

/**
 * Bounds how fast one address may try tokens, in this process. One that has tried too many wrong ones is refused without a look at what it
 * brings, but for tokens that have been right before: whoever shares the address, behind a proxy perhaps, goes on.
 */
export class TokenTries {
  readonly #clock: Pick<Clock, "monotonic">;
  /** Tries that are not forgiven yet, by address; the latest last. */
  readonly #wrong = new Map<string, { tries: number; atMs: number }>();
  /** Hashes; the latest last. */
  readonly #right = new Set<string>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** Throws ControlPlaneError `too-many-tries`. */
  expectFew(address: string, token: string): void {
    if (this.#triesOf(address) < burst || this.#right.has(hashToken(token))) return;
    throw new ControlPlaneError(
      "too-many-tries",
      `too many wrong tokens have come from ${address}: try again in ${retryAfterSeconds} s, with the right one`,
      { retryAfterSeconds },
    );
  }

  wasRight(token: string): void {
    const hash = hashToken(token);
    this.#right.delete(hash);
    this.#right.add(hash);
    forgetOldest(this.#right, mostTokens);
  }

  wasWrong(address: string, token: string): void {
    this.#right.delete(hashToken(token));
    const tries = this.#triesOf(address) + 1;
    this.#wrong.delete(address);
    this.#wrong.set(address, { tries, atMs: this.#clock.monotonic() });
    forgetOldest(this.#wrong, mostAddresses);
  }

  #triesOf(address: string): number {
    const wrong = this.#wrong.get(address);
    if (!wrong) return 0;
    return Math.max(0, wrong.tries - ((this.#clock.monotonic() - wrong.atMs) / 1000) * perSecond);
  }
}

function forgetOldest(kept: { size: number; keys(): Iterator<string>; delete(key: string): boolean }, most: number) {
  if (kept.size <= most) return;
  const { value, done } = kept.keys().next();
  if (!done) kept.delete(value);
}
