import type { Clock } from "../../lib/clock.ts";
import type { Spool } from "./spool.ts";

const patienceMs = 200;

/**
 * Slows a job down to the speed of a reader that is slower, as any pipe would. A reader that stands still does not
 * stop the job: then the spool takes everything to disk until there is an acknowledgement again.
 */
export class Pressure {
  readonly #spool: Spool;
  readonly #clock: Clock;
  #stalled = false;

  constructor(spool: Spool, clock: Clock) {
    this.#spool = spool;
    this.#clock = clock;
  }

  /** Undefined: write on. Otherwise wait for it. */
  room(): Promise<void> | undefined {
    return this.#spool.full && !this.#stalled ? this.#wait() : undefined;
  }

  async #wait(): Promise<void> {
    while (this.#spool.full && !this.#stalled) {
      const over = new AbortController();
      const progress = this.#spool.progress().then(() => {
        this.#stalled = false;
        return true;
      });
      const patience = this.#clock.sleep(patienceMs, over.signal).then(
        () => false,
        () => true,
      );
      if (!(await Promise.race([progress, patience]))) this.#stalled = true;
      over.abort();
    }
  }
}
