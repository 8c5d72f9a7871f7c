/** At most `width` holders at once, first come first served. Engines collapse under parallel starts. */
export class StartGate {
  readonly #width: number;
  #held = 0;
  #queue: (() => void)[] = [];

  constructor(width: number) {
    this.#width = Math.max(1, Math.floor(width));
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#held < this.#width) this.#held++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      return await work();
    } finally {
      // The place is handed on without being given up, so that nobody slips in between.
      const next = this.#queue.shift();
      if (next) next();
      else this.#held--;
    }
  }
}
