export interface StartGateOptions {
  /** Holders at once, to begin with. */
  width: number;
  /** Between which the width may move, where it may. */
  range?: { least: number; most: number };
  /** Milliseconds that only grow. */
  monotonic?: () => number;
}

/** Starts over which one width is judged. */
const windowSize = 8;
/** Less than this is noise. */
const noticeable = 0.03;

/**
 * At most `width` holders at once, first come first served. Engines collapse under parallel starts. What is only made
 * ahead of need begins when nobody holds a place and nobody waits for one, one at a time.
 *
 * How many are best depends on cores, disk and engine, so the width follows what comes out: while somebody waits, it moves by one as
 * long as more starts a second come of it, and turns round where fewer do.
 */
export class StartGate {
  readonly #range: { least: number; most: number };
  readonly #monotonic: () => number;
  #width: number;
  #step = 1;
  #held = 0;
  #queue: (() => void)[] = [];
  #idlers: (() => void)[] = [];
  #window = { ended: 0, sinceMs: 0 };
  #lastRate: number | undefined;
  #onWait: (waitedMs: number) => void = () => {};

  constructor({ width, range, monotonic }: StartGateOptions) {
    this.#width = Math.max(1, Math.floor(width));
    this.#range = range ?? { least: this.#width, most: this.#width };
    this.#monotonic = monotonic ?? (() => performance.now());
  }

  get width(): number {
    return this.#width;
  }

  /** Tells how long each that is not ahead of need waited for its turn. One listener. */
  onWait(listener: (waitedMs: number) => void): void {
    this.#onWait = listener;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    const cameMs = this.#monotonic();
    if (this.#held < this.#width) this.#held++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#onWait(this.#monotonic() - cameMs);
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
      this.#judge();
      this.#handOn();
    }
  }

  /** A place is handed on in the same moment in which it is given up, so that nobody slips in between. */
  #handOn(): void {
    this.#held--;
    while (this.#held < this.#width && this.#queue.length > 0) {
      this.#held++;
      this.#queue.shift()?.();
    }
    const idler = this.#held === 0 ? this.#idlers.shift() : undefined;
    if (!idler) return;
    this.#held++;
    idler();
  }

  #judge(): void {
    const nowMs = this.#monotonic();
    // Where nobody waits, the rate says how many came, not how many could be started.
    if (this.#queue.length === 0) this.#window = { ended: 0, sinceMs: nowMs };
    else if (++this.#window.ended === windowSize) {
      this.#move(windowSize / Math.max(1, nowMs - this.#window.sinceMs));
      this.#window = { ended: 0, sinceMs: nowMs };
    }
  }

  #move(rate: number): void {
    const gain = this.#lastRate === undefined ? 1 : rate / this.#lastRate - 1;
    this.#lastRate = rate;
    if (gain < noticeable) this.#step = -this.#step;
    const { least, most } = this.#range;
    this.#width = Math.min(most, Math.max(least, this.#width + this.#step));
  }
}
