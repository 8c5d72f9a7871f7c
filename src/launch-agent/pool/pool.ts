import type { ContainerPlan } from "../../engine/engine.ts";
import type { ContainerSpec } from "../../protocol/task.ts";
import { errorFacts } from "../log.ts";
import { shapeOf } from "../plan/shape.ts";
import type { SandboxedGround } from "../sandbox/enter.ts";
import type { OpenPlan } from "../sandbox/need.ts";
import { Member } from "./member.ts";
import { planAhead } from "./plan-ahead.ts";

export interface PoolOptions {
  /** Containers that are kept waiting for each shape of task that this agent has seen. 0: only what is prewarmed. */
  perShape: number;
  /** Over all shapes. 0: no pool at all. */
  total: number;
  /** For all that wait, at `waitingBytes` each. Never more than what the tasks leave. */
  memoryBytes: number;
  /** A shape that no task has asked for in this time is given up. */
  forgetMs: number;
  /** What has waited this long is replaced by a new one. */
  maxAgeMs: number;
  /** How often it is looked whether an image has changed. */
  checkMs: number;
  /** Between a hand-over and the next refill, so that the task has the machine for itself first. */
  pauseMs: number;
}

/** What a task agent that waits takes, with room to spare: seen 45 MiB. */
export const waitingBytes = 64 * 1024 ** 2;

export const defaultPool: PoolOptions = {
  perShape: 0,
  total: 0,
  memoryBytes: 1024 ** 3,
  forgetMs: 10 * 60_000,
  maxAgeMs: 30 * 60_000,
  checkMs: 30_000,
  pauseMs: 100,
};

/** Beyond what any task may take: what is handed out lives as long as the task, and its deadline was set before. */
const longestLifeMs = 24 * 3_600_000;

interface Wanted {
  spec: ContainerSpec;
  usedAtMs: number;
}

/**
 * Containers that are started before there is a task for them, each for one task at most. What is taken is taken out
 * before anything else happens, so no container can be given to two; it is then its taker's, who also removes it.
 *
 * Safe at any time: `take` and `yieldMemory` are synchronous; `close` may be called twice, and leaves nothing.
 */
export class Pool {
  readonly #ground: SandboxedGround;
  readonly #options: PoolOptions;
  readonly #newId: () => string;
  readonly #members = new Set<Member>();
  /** By name: what is being removed. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** By shape, the one that was asked for last at the end. */
  readonly #wanted = new Map<string, Wanted>();
  readonly #prewarming = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #freeBytes: () => number = () => Number.POSITIVE_INFINITY;
  #woken = Promise.withResolvers<void>();

  constructor(ground: SandboxedGround, options: { pool: PoolOptions; newId: () => string }) {
    this.#ground = ground;
    this.#options = options.pool;
    this.#newId = options.newId;
  }

  get size(): number {
    return this.#members.size;
  }

  /** How many could take a task at once. */
  get waiting(): number {
    return [...this.#members].filter(({ state }) => state === "waiting").length;
  }

  /** One of the same shape that may live until `untilMs` (since the epoch), the caller's from now on. */
  take(plan: ContainerPlan, untilMs: number): Member | undefined {
    const shape = shapeOf(plan);
    const fit = [...this.#members].filter(
      (member) => member.shape === shape && member.deadlineMs >= untilMs && member.state !== "queued",
    );
    // One that is still starting is there sooner than one that is yet to be made.
    const member = fit.find(({ state }) => state === "waiting") ?? fit[0];
    if (!member) return undefined;
    this.#members.delete(member);
    member.leave();
    return member;
  }

  /** A task of this kind has come: others may follow. */
  expect(spec: ContainerSpec, plan: ContainerPlan): void {
    if (this.#options.perShape === 0 || this.#options.total === 0) return;
    const shape = shapeOf(plan);
    this.#wanted.delete(shape);
    this.#wanted.set(shape, { spec, usedAtMs: this.#ground.clock.monotonic() });
    this.lookAfter();
  }

  /** Something has changed that may leave room for more. */
  lookAfter(): void {
    this.#woken.resolve();
  }

  /**
   * Starts one for a task that is expected. Resolves when the engine has been told to, or when there is nothing to do: no
   * room, an image that would have to be pulled, a spec that cannot be run. Never rejects: the task will tell.
   */
  async prewarm(spec: ContainerSpec): Promise<void> {
    const done = this.#prewarm(spec).catch((error: unknown) => {
      this.#ground.log.debug(errorFacts(error), "could not start a container ahead of its task");
    });
    this.#prewarming.add(done);
    await done.finally(() => this.#prewarming.delete(done));
  }

  /** Whether the container of this name is in the pool's hands, be it to be handed out or to be removed. */
  owns(name: string): boolean {
    return this.#leaving.has(name) || [...this.#members].some((member) => member.name === name);
  }

  /** Tasks have come that need memory: what waits gives way. */
  yieldMemory(): void {
    const most = this.#mostMembers();
    for (const member of this.#members) {
      if (this.#members.size <= most) return;
      this.#drop(member);
    }
  }

  /** Refills, and looks after what waits, until the signal. `freeBytes`: what the tasks leave. Never rejects. */
  async keep(options: { signal: AbortSignal; freeBytes: () => number }): Promise<void> {
    this.#freeBytes = options.freeBytes;
    if (this.#options.perShape === 0 || this.#options.total === 0) return;
    const { clock, log } = this.#ground;
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    while (!signal.aborted) {
      this.#woken = Promise.withResolvers();
      try {
        await this.#dropStale(signal);
        await this.#refill(signal);
      } catch (error) {
        if (!signal.aborted) log.warn(errorFacts(error), "the pool could not be looked after");
      }
      const waited = new AbortController();
      const pause = clock.sleep(this.#options.checkMs, AbortSignal.any([signal, waited.signal])).catch(() => undefined);
      await Promise.race([pause, this.#woken.promise]);
      waited.abort();
    }
  }

  /** Removes all that waits, and gives nothing out any more. Resolves when it is gone, as far as it can be removed. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the pool is closed"));
    for (const member of this.#members) this.#drop(member);
    await Promise.all(this.#prewarming);
    await Promise.all(this.#leaving.values());
  }

  async #prewarm(spec: ContainerSpec): Promise<void> {
    const plan = await this.#plan(spec, this.#closing.signal);
    if (!plan) return;
    this.expect(spec, plan);
    if (this.#hasRoom()) await this.#add(plan, "now").sent;
  }

  async #plan(spec: ContainerSpec, signal: AbortSignal): Promise<OpenPlan | undefined> {
    return await planAhead(this.#ground, { spec, id: this.#newId(), longestMs: longestLifeMs, signal });
  }

  #add(plan: OpenPlan, begin: "now" | "when-idle"): Member {
    const onDeath = (dead: Member) => {
      this.#ground.log.debug({ container: dead.name }, "a container that waited is gone");
      this.#drop(dead);
    };
    const member = new Member(this.#ground, { plan, begin, onDeath });
    this.#members.add(member);
    return member;
  }

  #drop(member: Member): void {
    if (!this.#members.delete(member)) return;
    const gone = member.drop().finally(() => this.#leaving.delete(member.name));
    this.#leaving.set(member.name, gone);
  }

  #hasRoom(): boolean {
    return !this.#closing.signal.aborted && this.#members.size < this.#mostMembers();
  }

  #mostMembers(): number {
    const bytes = Math.min(this.#options.memoryBytes, this.#freeBytes());
    return Math.max(0, Math.min(this.#options.total, Math.floor(bytes / waitingBytes)));
  }

  /** Old ones, those that nobody asks for, and those whose image is another one by now. */
  async #dropStale(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ground;
    const nowMs = clock.monotonic();
    for (const [shape, { usedAtMs }] of this.#wanted)
      if (nowMs - usedAtMs > this.#options.forgetMs) this.#wanted.delete(shape);
    for (const [shape, wanted] of this.#wanted) {
      const plan = await this.#plan(wanted.spec, signal);
      if (plan && shapeOf(plan) === shape) continue;
      this.#wanted.delete(shape);
      if (plan) this.#wanted.set(shapeOf(plan), wanted);
    }
    for (const member of this.#members) {
      if (!this.#wanted.has(member.shape) || nowMs - member.bornAtMs > this.#options.maxAgeMs) this.#drop(member);
    }
    this.yieldMemory();
  }

  /** One after another, each when nothing else is being started. */
  async #refill(signal: AbortSignal): Promise<void> {
    for (let next = this.#missing(); next && !signal.aborted; next = this.#missing()) {
      await this.#ground.clock.sleep(this.#options.pauseMs, signal);
      const plan = await this.#plan(next.spec, signal);
      if (!plan || !this.#hasRoom()) return;
      // One that cannot be started is tried again at the next check, not at once.
      await this.#add(plan, "when-idle").ready;
    }
  }

  #missing(): Wanted | undefined {
    if (!this.#hasRoom()) return undefined;
    const shapes = [...this.#wanted.keys()].toReversed();
    const shape = shapes.find((wanted) => this.#countOf(wanted) < this.#options.perShape);
    return shape === undefined ? undefined : this.#wanted.get(shape);
  }

  #countOf(shape: string): number {
    return [...this.#members].filter((member) => member.shape === shape).length;
  }
}
