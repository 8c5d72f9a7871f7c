import { type Exit, isEngineError } from "../../engine/engine.ts";
import { retryPauseMs } from "../api/retry.ts";
import type { Ground } from "./ground.ts";
import type { TaskLink } from "./link.ts";
import { settledWithin } from "./or-abort.ts";

/** What became of a container. */
export type Fate =
  | { kind: "ended"; exit: Exit }
  /** It was removed. */
  | { kind: "gone" }
  /** It may still run, and cannot be had. */
  | { kind: "lost"; error: unknown };

export interface WatchOptions {
  id: string;
  link: TaskLink;
  ground: Ground;
  signal: AbortSignal;
}

/** How long a container that has ended may take to say so, after its output has. */
const exitNewsMs = 1_000;
/** Attachments that end without a greeting, one after another. */
const mostVainAttachments = 20;
/** Failures with this long between them have nothing to do with one another. */
const forgetFailureMs = 30_000;
/** Of the pauses between tries: up to 0.8 s. */
const pauseStep = 3;

/**
 * Waits for the end of a container, and attaches to it again whenever the attachment breaks: an engine that was restarted with
 * its containers running, a connection that was cut. Undefined when the signal ended it.
 */
export async function watchContainer(options: WatchOptions): Promise<Fate | undefined> {
  const watch = new ContainerWatch(options);
  try {
    return await watch.run();
  } catch (error) {
    if (options.signal.aborted) return undefined;
    return { kind: "lost", error };
  }
}

type News = { exit: Exit } | { error: unknown } | "silence";

class ContainerWatch {
  readonly #options: WatchOptions;
  #exit: Promise<News>;
  #vain = 0;
  /** By the monotonic clock: since when nothing works, and when it was last seen that it does not. */
  #failingSince = 0;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#exit = this.#wait();
  }

  async run(): Promise<Fate | undefined> {
    const { link, ground, signal } = this.#options;
    for (;;) {
      const news = link.session ? await this.#news() : "silence";
      if (news !== "silence" && "exit" in news)
        // What it still has in its pipe.
        await settledWithin(link.session?.ended ?? Promise.resolve(), ground.limits.drainMs, ground.clock);
      if (signal.aborted) return undefined;
      if (link.saidEnd) {
        // All that it had to say is on its way; the last acknowledgement ends the task.
        await link.flushed();
        return undefined;
      }
      const fate = news === "silence" ? await this.#attachAgain() : await this.#judge(news);
      if (fate) return fate;
    }
  }

  /** A container that ends is heard of by its output first. */
  async #news(): Promise<News> {
    const { link, ground } = this.#options;
    const silence = link.session?.ended.then(() => "silence" as const);
    const news = await Promise.race([this.#exit, ...(silence ? [silence] : [])]);
    if (news !== "silence") return news;
    return (await settledWithin(this.#exit, exitNewsMs, ground.clock)) ? await this.#exit : news;
  }

  async #judge(news: Exclude<News, "silence">): Promise<Fate | undefined> {
    if ("exit" in news) return { kind: "ended", exit: news.exit };
    if (isEngineError(news.error, "not-found")) return { kind: "gone" };
    this.#options.link.loseSight();
    const fate = await this.#pause(news.error);
    this.#exit = this.#wait();
    return fate;
  }

  async #attachAgain(): Promise<Fate | undefined> {
    const { id, link, ground, signal } = this.#options;
    if (link.session?.greeted === true) this.#vain = 0;
    else this.#vain++;
    if (this.#vain > mostVainAttachments)
      return { kind: "lost", error: new Error("the connection to the container broke, again and again") };
    try {
      if (this.#vain > 0) await this.#rest(this.#vain);
      const attachment = await ground.engine.attach(id, signal);
      link.open(attachment, { nonce: ground.randomBytes(16), opening: "again" });
      ground.log.info({ container: id }, "attached to a container again");
      return undefined;
    } catch (error) {
      if (isEngineError(error, "not-found")) return { kind: "gone" };
      return await this.#pause(error);
    }
  }

  /** An engine that is away is waited for; what else goes wrong may pass, too. */
  async #pause(error: unknown): Promise<Fate | undefined> {
    const { ground, signal } = this.#options;
    signal.throwIfAborted();
    const nowMs = ground.clock.monotonic();
    if (nowMs - this.#failedAt > forgetFailureMs) this.#failingSince = nowMs;
    this.#failedAt = nowMs;
    const leftMs = this.#failingSince + ground.limits.engineAwayMs - nowMs;
    if (leftMs <= 0 || isEngineError(error, "forbidden")) return { kind: "lost", error };
    if (isEngineError(error, "unreachable")) ground.presence.lost(error);
    await this.#rest(pauseStep);
    await settledWithin(ground.presence.back(signal), leftMs, ground.clock);
    this.#failedAt = ground.clock.monotonic();
    return undefined;
  }

  async #rest(failures: number): Promise<void> {
    const { ground, signal } = this.#options;
    await ground.clock.sleep(retryPauseMs(failures, undefined, ground.random), signal);
  }

  /** Never rejects. */
  async #wait(): Promise<News> {
    const { id, ground, signal } = this.#options;
    try {
      return { exit: await ground.engine.wait(id, signal) };
    } catch (error) {
      return { error };
    }
  }
}
