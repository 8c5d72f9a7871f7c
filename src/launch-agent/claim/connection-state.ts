import type { Clock } from "../../lib/clock.ts";
import type { ClaimAnswer } from "./loop.ts";

export interface Contact {
  reached: boolean;
  /** Why not, for people. */
  message?: string;
}

/** How this agent and its control plane get on, by the answers to claims. */
export class ConnectionState {
  readonly #clock: Pick<Clock, "monotonic">;
  #contact: Contact = { reached: false, message: "the control plane has not answered yet" };
  #everReached = false;
  #refusedSinceMs: number | undefined;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  get contact(): Contact {
    return this.#contact;
  }

  /** Whether it was ever reached. */
  get everReached(): boolean {
    return this.#everReached;
  }

  /** How long all tokens have been refused without a break; 0: they are not. */
  get refusedMs(): number {
    return this.#refusedSinceMs === undefined ? 0 : this.#clock.monotonic() - this.#refusedSinceMs;
  }

  take(answer: ClaimAnswer): void {
    if (!("message" in answer)) {
      this.#contact = { reached: true };
      this.#everReached = true;
      this.#refusedSinceMs = undefined;
      return;
    }
    this.#contact = { reached: false, message: answer.message };
    // One that does not answer may well be the same that refused a moment ago.
    if (answer.result === "refused") this.#refusedSinceMs ??= this.#clock.monotonic();
  }
}
