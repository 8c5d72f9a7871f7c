import type { Engine, Image } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import { orAbort } from "./or-abort.ts";

export interface WantedImage {
  reference: string;
  credentials?: { username: string; password: string };
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

interface Pull {
  done: Promise<Image>;
  abort: AbortController;
  listeners: Set<(line: string) => void>;
}

/** A tag may be moved by somebody else on this host, so what was read is believed for a burst of tasks only. */
const believeForMs = 10_000;

/** Images of the engine: read once a burst, pulled once for all tasks that wait for the same one. */
export class ImageStore {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #known = new Map<string, { image: Image; until: number }>();
  readonly #pulls = new Map<string, Pull>();

  constructor(engine: Engine, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /** The image, pulled where it is not present. Rejects with EngineError, or with the signal's reason. */
  async ensure(wanted: WantedImage): Promise<Image> {
    const present = await this.present(wanted.reference, wanted.signal);
    if (present) return present;
    const image = await this.#pull(wanted);
    this.#remember(wanted.reference, image);
    return image;
  }

  async present(reference: string, signal: AbortSignal): Promise<Image | undefined> {
    const known = this.#known.get(reference);
    if (known && known.until > this.#clock.monotonic()) return known.image;
    const image = await this.#engine.image(reference, signal);
    if (image) this.#remember(reference, image);
    else this.#known.delete(reference);
    return image;
  }

  /** What was believed turned out wrong: look again, at everything. */
  forgetAll(): void {
    this.#known.clear();
  }

  #remember(reference: string, image: Image): void {
    const now = this.#clock.monotonic();
    for (const [name, { until }] of this.#known) if (until <= now) this.#known.delete(name);
    this.#known.set(reference, { image, until: now + believeForMs });
  }

  /** Joins a pull of the same image with the same credentials. It is given up when nobody waits for it any more. */
  async #pull(wanted: WantedImage): Promise<Image> {
    const key = JSON.stringify([wanted.reference, wanted.credentials ?? null]);
    const pull = this.#pulls.get(key) ?? this.#startPull(key, wanted);
    pull.listeners.add(wanted.onProgress);
    try {
      return await orAbort(pull.done, wanted.signal);
    } finally {
      pull.listeners.delete(wanted.onProgress);
      if (pull.listeners.size === 0) pull.abort.abort(new Error("nobody waits for this pull any more"));
    }
  }

  #startPull(key: string, wanted: WantedImage): Pull {
    const abort = new AbortController();
    const listeners = new Set<(line: string) => void>();
    const done = this.#engine.pull(wanted.reference, {
      signal: abort.signal,
      ...(wanted.credentials ? { credentials: wanted.credentials } : {}),
      onProgress: (line) => {
        for (const tell of listeners) tell(line);
      },
    });
    const pull = { done, abort, listeners };
    this.#pulls.set(key, pull);
    const forget = () => {
      if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
    };
    done.then(forget, forget);
    abort.signal.addEventListener("abort", forget, { once: true });
    return pull;
  }
}
