/**
 * At most `width` holders at once, first come first served. Engines collapse under parallel starts. What is only made
 * ahead of need begins when nobody holds a place and nobody waits for one, one at a time.
 */
export class StartGate {
  readonly #width: number;
  #held = 0;
  #queue: (() => void)[] = [];
  #idlers: (() => void)[] = [];

  constructor(width: number) {
    this.#width = Math.max(1, Math.floor(width));
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#held < this.#width) this.#held++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    return await this.#hold(work);
  }

  async runWhenIdle<T>(work: () => Promise<T>): Promise<T> {
    if (this.#held === 0) this.#held++;
    else await new Promise<void>((resolve) => this.#idlers.push(resolve));
    return await this.#hold(work);
  }

  async #hold<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      // The place is handed on without being given up, so that nobody slips in between.
      const next = this.#queue.shift() ?? (this.#held === 1 ? this.#idlers.shift() : undefined);
      if (next) next();
      else this.#held--;
    }
  }
}
