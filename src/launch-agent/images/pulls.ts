import { type Engine, EngineError, type EngineErrorCode, type Image } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import { orAbort } from "../task/or-abort.ts";
import type { RegistryCredentials } from "./registry-auth.ts";

export interface WantedPull {
  reference: string;
  /** What is here under this name: the registry is only asked whether these credentials may have it. */
  present?: Image;
  credentials?: RegistryCredentials;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

export interface PullsOptions {
  engine: Engine;
  clock: Clock;
  /** 0 ≤ n < 1. */
  random: () => number;
  /** How often a registry is asked that fails; 3 when not given. */
  tries?: number;
  /** Before the second try, doubled before each one after it; five times as long for a registry that wants fewer requests. */
  pauseMs?: number;
  /** The engine's disk is full: makes room, and says whether it could. */
  makeRoom?: (signal: AbortSignal) => Promise<boolean>;
}

interface Pull {
  done: Promise<Image>;
  abort: AbortController;
  listeners: Set<(line: string) => void>;
}

/** What may pass by itself. Engines do not hand on how long a registry wants to be left alone. */
const pauseFactor: Partial<Record<EngineErrorCode, number>> = { registry: 1, "image-corrupt": 1, "registry-busy": 5 };

const advice: Partial<Record<EngineErrorCode, string>> = {
  "image-not-found": "Check the image's name and tag",
  "image-denied":
    "Check that it exists, and the credentials: `auth` of the image, or DOCKER_AUTH_CONFIG of the launch agent",
  "registry-busy":
    "Its limit may be higher with credentials: `auth` of the image, or DOCKER_AUTH_CONFIG of the launch agent",
  "image-corrupt": "What came is not what the registry promised: look at the registry, and at what is between",
  "disk-full": "The disk of the engine is full: make room on it",
};

/** One pull of an image for all tasks that wait for it with the same credentials. */
export class Pulls {
  readonly #options: PullsOptions;
  readonly #running = new Map<string, Pull>();

  constructor(options: PullsOptions) {
    this.#options = options;
  }

  /** Joins a pull, or starts one. It is given up when nobody waits for it any more. Rejects with EngineError, or the signal's reason. */
  async join(wanted: WantedPull): Promise<Image> {
    const key = JSON.stringify([wanted.reference, wanted.credentials ?? null, wanted.present?.id ?? null]);
    const pull = this.#running.get(key) ?? this.#start(key, wanted);
    pull.listeners.add(wanted.onProgress);
    try {
      return await orAbort(pull.done, wanted.signal);
    } finally {
      pull.listeners.delete(wanted.onProgress);
      if (pull.listeners.size === 0) pull.abort.abort(new Error("nobody waits for this pull any more"));
    }
  }

  #start(key: string, wanted: WantedPull): Pull {
    const abort = new AbortController();
    const listeners = new Set<(line: string) => void>();
    const tell = (line: string): void => {
      for (const listener of listeners) listener(line);
    };
    const done = this.#pull({ ...wanted, signal: abort.signal, onProgress: tell });
    const pull = { done, abort, listeners };
    this.#running.set(key, pull);
    const forget = () => {
      if (this.#running.get(key) === pull) this.#running.delete(key);
    };
    done.then(forget, forget);
    abort.signal.addEventListener("abort", forget, { once: true });
    return pull;
  }

  async #pull(wanted: WantedPull): Promise<Image> {
    const { signal, onProgress } = wanted;
    const { clock, random, tries = 3, pauseMs = 1_000, makeRoom } = this.#options;
    for (let failures = 1, roomMade = false; ; failures++) {
      try {
        return await this.#pullOnce(wanted);
      } catch (error) {
        if (!(error instanceof EngineError) || signal.aborted) throw error;
        if (error.code === "disk-full" && !roomMade && (await makeRoom?.(signal))) {
          roomMade = true;
          onProgress("The disk was full. Removed images that nobody uses, pulling again");
          continue;
        }
        const factor = pauseFactor[error.code];
        if (factor === undefined || failures >= tries) throw inWords(error, factor === undefined ? 1 : failures);
        const restMs = pauseMs * factor * 2 ** (failures - 1) * (1 + random());
        onProgress(`${error.message}. Trying again in ${(restMs / 1000).toFixed(1)} s (${failures + 1} of ${tries})`);
        await clock.sleep(restMs, signal);
      }
    }
  }

  async #pullOnce({ reference, present, credentials, signal, onProgress }: WantedPull): Promise<Image> {
    const { engine } = this.#options;
    const access = { signal, ...(credentials ? { credentials } : {}) };
    if (!present) return await engine.pull(reference, { ...access, onProgress });
    await engine.checkAccess(reference, access);
    return present;
  }
}

function inWords(error: EngineError, tried: number): EngineError {
  const what = advice[error.code];
  const often = tried > 1 ? `, tried ${tried} times` : "";
  return new EngineError(error.code, `${error.message}${often}${what === undefined ? "" : `. ${what}`}`, {
    cause: error,
  });
}
