import { type Engine, isEngineError, type StoredImage } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ImageStore } from "../images/image-store.ts";
import { markRegistry } from "../images/marks.ts";
import { errorFacts, type Log } from "../log.ts";
import { bytesInWords } from "../task/words.ts";
import { type CollectRules, overdue, removable } from "./choose.ts";
import type { DiskProbe, DiskSpace } from "./space.ts";

export interface DiskOptions extends CollectRules {
  /** Undefined: the engine's disk cannot be seen, and only age and budget count. */
  probe: DiskProbe | undefined;
  /** Images go from here on, in percent of the disk … */
  highPercent: number;
  /** … until it is down to this. */
  lowPercent: number;
  /** Between two looks, 30 s when not given; a sixth of it while no task is claimed. */
  lookMs?: number;
  /** With less than this free no task is claimed. */
  floorBytes: number;
}

export interface DiskState {
  space: DiskSpace | undefined;
  /** Why no task is claimed; undefined: because of the disk, some may be. */
  problem: string | undefined;
  removedImages: number;
}

export interface DiskKeeperOptions {
  engine: Engine;
  images: ImageStore;
  clock: Clock;
  log: Log;
  disk: DiskOptions;
}

const defaultLookMs = 30_000;
const distrustMs = 30_000;
/** Age and budget: nobody waits for them. */
const tidyMs = 10 * 60_000;
/** Above the floor, so that one small file does not stop and start everything. */
const resumeFactor = 1.1;

/** Keeps the engine's disk from filling up: images go before tasks have to. */
export class DiskKeeper {
  readonly #options: DiskKeeperOptions;
  /** By image id, by the monotonic clock. */
  #seenAtMs: ReadonlyMap<string, number> = new Map();
  #space: DiskSpace | undefined;
  #problem: string | undefined;
  #removed = 0;
  #changed = Promise.withResolvers<void>();
  #tidiedAtMs = Number.NEGATIVE_INFINITY;
  #collecting: Promise<boolean> | undefined;
  /** Aborted while no task may be claimed. */
  #mayClaim = new AbortController();
  /** The engine has run out of space, and why is not known yet. */
  #isLookingInto = false;
  #isTold = false;
  /** Ends the rest between two looks. */
  #wake = new AbortController();
  /** By the monotonic clock: until then the engine's word counts for more than what is measured. */
  #distrustUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: DiskKeeperOptions) {
    this.#options = options;
    options.images.whenFull(async (signal) => await this.makeRoom(signal));
  }

  get state(): DiskState {
    return { space: this.#space, problem: this.#problem, removedImages: this.#removed };
  }

  /** Resolves while there is room for a task, with a signal that fires when there is none any more. Rejects with the signal's reason. */
  async mayClaim(signal: AbortSignal): Promise<AbortSignal> {
    if (this.#space === undefined) await this.look(signal);
    while (this.#problem !== undefined) {
      signal.throwIfAborted();
      const aborted = Promise.withResolvers<void>();
      const onAbort = () => aborted.resolve();
      signal.addEventListener("abort", onAbort, { once: true });
      await Promise.race([this.#changed.promise, aborted.promise]);
      signal.removeEventListener("abort", onAbort);
    }
    signal.throwIfAborted();
    return this.#mayClaim.signal;
  }

  /**
   * The engine itself has run out of space: that is looked into at once, and nothing is claimed meanwhile. `pulling`: an image was too large
   * for what is free, which says nothing of other tasks.
   */
  ranOut({ pulling }: { pulling: boolean }): void {
    if (this.#isLookingInto) return;
    if (this.#problem === undefined)
      this.#options.log.warn({}, "the engine has run out of space: looking after its disk");
    this.#isLookingInto = true;
    this.#decide();
    void this.#lookInto(pulling);
  }

  /** Looks now and then until the signal. Never rejects. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, log, disk } = this.#options;
    const { lookMs = defaultLookMs } = disk;
    if (!this.#options.disk.probe)
      log.info({}, "the engine's disk cannot be seen from here: tasks are claimed without regard to it");
    while (!signal.aborted) {
      await this.look(signal);
      await this.#tidy(signal);
      // Work is to go on soon after somebody has made room.
      const restMs = this.#problem === undefined ? lookMs : Math.min(lookMs, defaultLookMs) / 6;
      this.#wake = new AbortController();
      await clock.sleep(restMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined);
    }
  }

  /** Never rejects. */
  async look(signal: AbortSignal): Promise<void> {
    const { log, disk } = this.#options;
    try {
      await this.#measure();
      if (this.#space && usedPercent(this.#space) >= disk.highPercent) await this.makeRoom(signal);
    } catch (error) {
      if (!signal.aborted) log.warn(errorFacts(error), "the disk could not be looked after");
    }
    this.#decide();
  }

  /** Removes images until the disk is down to its low mark. Whether anything went; once for all who ask meanwhile. */
  async makeRoom(signal: AbortSignal): Promise<boolean> {
    this.#collecting ??= this.#collect(signal).finally(() => {
      this.#collecting = undefined;
    });
    return await this.#collecting;
  }

  /** Where enough is free and nothing can be removed, something else has run out: no measure says when that is over. Never rejects. */
  async #lookInto(pulling: boolean): Promise<void> {
    const { clock, disk, log } = this.#options;
    const { signal } = new AbortController();
    try {
      await this.#measure();
      const hadEnough = (this.#space?.freeBytes ?? Number.POSITIVE_INFINITY) >= disk.floorBytes;
      const madeRoom = await this.makeRoom(signal);
      if (hadEnough && !madeRoom && !pulling) this.#distrustUntilMs = clock.monotonic() + distrustMs;
    } catch (error) {
      log.warn(errorFacts(error), "the disk could not be looked after");
    }
    this.#isLookingInto = false;
    this.#decide();
    this.#wake.abort();
  }

  async #collect(signal: AbortSignal): Promise<boolean> {
    const { disk, engine } = this.#options;
    let removed = 0;
    for (const image of removable(await engine.images(signal), disk, this.#usage())) {
      // Where the disk cannot be seen, one is what a full disk is worth.
      if (this.#space ? usedPercent(this.#space) <= disk.lowPercent : removed > 0) break;
      if (await this.#remove(image, "the disk is filling up", signal)) removed++;
      await this.#measure();
    }
    return removed > 0;
  }

  async #tidy(signal: AbortSignal): Promise<void> {
    const { clock, engine, log, disk } = this.#options;
    if (clock.monotonic() - this.#tidiedAtMs < tidyMs) return;
    this.#tidiedAtMs = clock.monotonic();
    try {
      const stored = await engine.images(signal);
      this.#see(stored);
      for (const image of overdue(stored, disk, this.#usage()))
        await this.#remove(image, "it is over the age or the budget of images", signal);
    } catch (error) {
      if (!signal.aborted) log.warn(errorFacts(error), "images could not be looked through");
    }
  }

  /** Names of people first: while one of our own is left, the engine still knows whose it was. */
  async #remove(image: StoredImage, reason: string, signal: AbortSignal): Promise<boolean> {
    const { engine, images, log } = this.#options;
    const names = [...image.tags, ...image.digests].toSorted((a, b) => Number(isOurs(a)) - Number(isOurs(b)));
    try {
      for (const name of names) await engine.removeImage(name, signal);
    } catch (error) {
      if (!isEngineError(error, "conflict")) throw error;
      // Somebody has begun to use it.
      return false;
    } finally {
      images.forgetAll();
    }
    this.#removed++;
    log.info({ image: image.id, names: image.tags, bytes: image.sizeBytes, reason }, "removed an image");
    return true;
  }

  async #measure(): Promise<void> {
    this.#space = await this.#options.disk.probe?.();
  }

  #decide(): void {
    const before = this.#problem;
    this.#problem = this.#problemNow();
    if (before === undefined && this.#problem !== undefined) this.#mayClaim.abort(new Error(this.#problem));
    if (before !== undefined && this.#problem === undefined) {
      this.#mayClaim = new AbortController();
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
    if (!this.#isLookingInto) this.#tell();
  }

  #tell(): void {
    const isFull = this.#problem !== undefined;
    if (isFull === this.#isTold) return;
    this.#isTold = isFull;
    const { log } = this.#options;
    if (isFull) log.warn(this.#space ?? {}, `taking no tasks: ${this.#problem}`);
    else log.info(this.#space ?? {}, "there is room on the disk again: taking tasks");
  }

  #problemNow(): string | undefined {
    const { floorBytes } = this.#options.disk;
    const enough = this.#problem === undefined ? floorBytes : floorBytes * resumeFactor;
    const free = this.#space?.freeBytes;
    if (free !== undefined && free < enough) return tooFull(free, floorBytes);
    const isDistrusted = this.#options.clock.monotonic() < this.#distrustUntilMs;
    if (this.#isLookingInto) return "the engine says that its disk is full";
    return isDistrusted ? ranOutInWords(free) : undefined;
  }

  #see(stored: readonly StoredImage[]): void {
    const nowMs = this.#options.clock.monotonic();
    this.#seenAtMs = new Map(stored.map(({ id }) => [id, this.#seenAtMs.get(id) ?? nowMs]));
  }

  #usage() {
    const { images, clock } = this.#options;
    return {
      nowMs: clock.monotonic(),
      seenAtMs: (id: string) => this.#seenAtMs.get(id) ?? clock.monotonic(),
      usedAtMs: (id: string) => images.usedAtMs(id),
    };
  }
}

function usedPercent({ freeBytes, totalBytes }: DiskSpace): number {
  return totalBytes === 0 ? 0 : (1 - freeBytes / totalBytes) * 100;
}

function isOurs(name: string): boolean {
  return name.startsWith(`${markRegistry}/`);
}

function ranOutInWords(freeBytes: number | undefined): string {
  const free = freeBytes === undefined ? "" : `, though ${bytesInWords(freeBytes)} are free`;
  return `the engine has said that its disk is full${free}. Make room on it; look at its inodes and quotas, too`;
}

function tooFull(freeBytes: number, floorBytes: number): string {
  return `the engine's disk has ${bytesInWords(freeBytes)} free, and ${bytesInWords(floorBytes)} have to be. Make room on it`;
}
