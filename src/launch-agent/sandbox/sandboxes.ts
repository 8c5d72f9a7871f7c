import { errorFacts } from "../log.ts";
import type { Ground } from "../task/ground.ts";
import { orAbort } from "../task/or-abort.ts";
import { type Making, SandboxMaker } from "./maker.ts";
import type { SandboxNeed } from "./need.ts";
import type { SandboxesState, SandboxMode, SandboxOptions } from "./options.ts";
import { RuleSource } from "./rule-source.ts";
import type { Rules } from "./rules.ts";
import { Sandbox, sandboxBytes } from "./sandbox.ts";

interface Waiter {
  need: SandboxNeed;
  hash: string;
  untilMs: number;
  give: (sandbox: Sandbox) => void;
  fail: (error: unknown) => void;
}

interface Wanted {
  need: SandboxNeed;
  usedAtMs: number;
}

/**
 * Sandboxes that wait for tasks, and those that tasks have. One serves one task at a time, and after its first only tasks of the same
 * tenant, if it looks as new; whatever is in doubt is thrown away.
 *
 * `take` and `giveBack` come in pairs; `giveBack` after everything that joined the sandbox is gone. `close` leaves nothing.
 */
export class Sandboxes {
  readonly #ground: Ground;
  readonly #options: SandboxOptions;
  readonly #newId: () => string;
  readonly #source: RuleSource;
  readonly #maker: SandboxMaker;
  readonly #ready = new Set<Sandbox>();
  readonly #used = new Map<Sandbox, SandboxNeed>();
  /** By name: what is being made, looked at or removed. */
  readonly #busy = new Map<string, Promise<void>>();
  /** Whether what is coming back is as new. */
  readonly #returning = new Set<Promise<boolean>>();
  readonly #wanted = new Map<string, Wanted>();
  readonly #watches = new Map<Sandbox, AbortController>();
  readonly #closing = new AbortController();
  #waiters: Waiter[] = [];
  #freeBytes: () => number = () => Number.POSITIVE_INFINITY;
  #woken = Promise.withResolvers<void>();

  constructor(
    ground: Ground,
    options: { sandboxes: SandboxOptions; newId: () => string; resolve: (name: string) => Promise<string[]> },
  ) {
    this.#ground = ground;
    this.#options = options.sandboxes;
    this.#newId = options.newId;
    this.#source = new RuleSource(ground, options);
    this.#maker = new SandboxMaker(ground, { source: this.#source, signal: this.#closing.signal });
  }

  get mode(): SandboxMode {
    return this.#options.mode;
  }

  get ready(): number {
    return this.#ready.size;
  }

  get used(): number {
    return this.#used.size;
  }

  get state(): SandboxesState {
    return { ready: this.ready, used: this.used, bytes: (this.ready + this.used) * sandboxBytes };
  }

  /** Whether the container of this name is in our hands. */
  owns(name: string): boolean {
    if (this.#busy.has(name) || this.#source.helpers.has(name)) return true;
    return [...this.#ready, ...this.#used.keys()].some((sandbox) => sandbox.name === name);
  }

  /** Whether sandboxes can be had here: makes one, which the first task gets. Rejects where not. */
  async prove(network: SandboxNeed["network"]): Promise<void> {
    const rules = await this.#maker.rules({ network, localNames: [], tenant: "", reusable: true });
    const made = await this.#make(rules, { localNames: [] });
    if (made) this.#keep(made);
  }

  /**
   * One for a task that may live until `untilMs` (since the epoch): one that is ready, or the first that is made or given back.
   * Rejects with SandboxError where none can be had, with EngineError `unreachable`, and with the signal's reason.
   */
  async take(need: SandboxNeed, options: { untilMs: number; signal: AbortSignal }): Promise<Sandbox> {
    const { untilMs, signal } = options;
    const rules = await orAbort(this.#maker.rules(need), signal);
    this.expect(need);
    const taken = this.#takeReady({ need, hash: rules.hash, untilMs });
    if (taken) return taken;
    const { promise, resolve, reject } = Promise.withResolvers<Sandbox>();
    const waiter: Waiter = { need, hash: rules.hash, untilMs, give: resolve, fail: reject };
    this.#waiters.push(waiter);
    void this.#makeFor(waiter, rules);
    try {
      return await orAbort(promise, signal);
    } catch (error) {
      // Given in this very moment.
      promise.then(
        (sandbox) => this.giveBack(sandbox),
        () => {},
      );
      throw error;
    } finally {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    }
  }

  /**
   * The one of this name, which an earlier process of this agent made, and a task of this need is in: its rules are kept from now on.
   * To be given back as what was taken; nobody gets it after that. Rejects where it cannot be had.
   */
  async adopt(name: string, need: SandboxNeed): Promise<Sandbox> {
    const rules = await this.#maker.rules(need);
    const sandbox = await Sandbox.found(await this.#source.kit(), name, rules);
    this.#hand(sandbox, { ...need, reusable: false });
    this.lookAfter();
    return sandbox;
  }

  /**
   * Whoever waits longest gets what is made, be it made for another; so the failure is somebody else's, too, then. What is about to
   * come back is there sooner than anything that is made.
   */
  async #makeFor(waiter: Waiter, rules: Rules): Promise<void> {
    const isServed = () => !this.#waiters.includes(waiter);
    try {
      while (!isServed() && this.#returning.size > 0) await Promise.race(this.#returning);
      const made = await this.#make(rules, { localNames: waiter.need.localNames, isServed });
      if (made) this.#keep(made);
    } catch (error) {
      const other = this.#waiters.find((each) => each.hash === waiter.hash);
      (this.#waiters.includes(waiter) ? waiter : other)?.fail(error);
    }
  }

  /** Nothing is in it any more; `doubtful` where that is not sure. */
  giveBack(sandbox: Sandbox, options: { doubtful: boolean } = { doubtful: false }): void {
    const need = this.#used.get(sandbox);
    if (!need) return;
    this.#used.delete(sandbox);
    const isOver = options.doubtful || !need.reusable || this.#isOld(sandbox) || this.#closing.signal.aborted;
    const asNew = isOver ? Promise.resolve(false) : sandbox.isAsNew();
    this.#during(sandbox.name, async () => {
      if ((await asNew) && !this.#closing.signal.aborted) this.#keep(sandbox);
      else await this.#remove(sandbox);
    });
    this.#returning.add(asNew);
    void asNew.then(() => this.#returning.delete(asNew));
  }

  /** A task of this need has come: others may follow. */
  expect(need: SandboxNeed): void {
    const key = JSON.stringify([need.network, need.localNames, need.tenant]);
    this.#wanted.delete(key);
    this.#wanted.set(key, { need, usedAtMs: this.#ground.clock.monotonic() });
    this.lookAfter();
  }

  /** Something has changed that may leave room for more. */
  lookAfter(): void {
    this.#woken.resolve();
  }

  /** Refills, and looks after the rules, until the signal. `freeBytes`: what the tasks leave. Never rejects. */
  async keep(options: { signal: AbortSignal; freeBytes: () => number }): Promise<void> {
    this.#freeBytes = options.freeBytes;
    if (this.mode === "off") return;
    const { clock, log } = this.#ground;
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    while (!signal.aborted) {
      this.#woken = Promise.withResolvers();
      try {
        await this.#refresh();
        this.#dropSurplus();
        await this.#refill(signal);
      } catch (error) {
        if (!signal.aborted) log.warn(errorFacts(error), "the sandboxes could not be looked after");
      }
      const waited = new AbortController();
      const pauseMs = this.#used.size > 0 ? this.#options.checkMs : this.#options.restMs;
      const pause = clock.sleep(pauseMs, AbortSignal.any([signal, waited.signal])).catch(() => undefined);
      await Promise.race([pause, this.#woken.promise]);
      waited.abort();
    }
  }

  /** Removes all that nobody has, and the network where no other agent uses it. Resolves when it is gone, as far as it can be. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the sandboxes are closed"));
    for (const sandbox of [...this.#ready, ...this.#used.keys()]) this.#drop(sandbox);
    while (this.#busy.size > 0) await Promise.all(this.#busy.values());
    await this.#source.close();
  }

  /** Undefined where nobody needs it any more once its turn has come. */
  async #make(
    rules: Rules,
    { localNames, isServed = () => false }: Partial<Pick<Making, "isServed">> & Pick<Making, "localNames">,
  ): Promise<Sandbox | undefined> {
    const name = `cofferdam-sandbox-${this.#newId()}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy.set(name, promise);
    try {
      return await this.#maker.make({ name, rules, localNames, isServed });
    } finally {
      this.#busy.delete(name);
      resolve();
    }
  }

  /** It is ready from now on, or goes straight to whoever waits. */
  #keep(sandbox: Sandbox): void {
    if (!this.#watches.has(sandbox)) this.#watch(sandbox);
    const waiter = this.#waiters.find((each) => fits(sandbox, each));
    if (waiter) {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      this.#hand(sandbox, waiter.need);
      waiter.give(sandbox);
    } else if (this.#closing.signal.aborted || this.#ready.size >= this.#most()) {
      this.#drop(sandbox);
    } else {
      this.#ready.add(sandbox);
    }
  }

  #takeReady(wanted: Pick<Waiter, "need" | "hash" | "untilMs">): Sandbox | undefined {
    const fit = [...this.#ready].filter((sandbox) => fits(sandbox, wanted) && !this.#isOld(sandbox));
    // What only this tenant can have, before what anybody could.
    const sandbox = fit.find(({ tenant }) => tenant !== undefined) ?? fit[0];
    if (!sandbox) return undefined;
    this.#ready.delete(sandbox);
    this.#hand(sandbox, wanted.need);
    return sandbox;
  }

  #hand(sandbox: Sandbox, need: SandboxNeed): void {
    sandbox.tenant = need.tenant;
    this.#used.set(sandbox, need);
  }

  /** One that ends through no doing of ours is no use. Whoever is in it sees for itself what that means. */
  #watch(sandbox: Sandbox): void {
    const watch = new AbortController();
    this.#watches.set(sandbox, watch);
    void sandbox.ended(watch.signal).then(() => {
      if (!watch.signal.aborted && this.#ready.has(sandbox)) this.#drop(sandbox);
    });
  }

  #drop(sandbox: Sandbox): void {
    this.#ready.delete(sandbox);
    this.#used.delete(sandbox);
    this.#during(sandbox.name, async () => await this.#remove(sandbox));
  }

  async #remove(sandbox: Sandbox): Promise<void> {
    this.#watches.get(sandbox)?.abort();
    this.#watches.delete(sandbox);
    await sandbox.remove();
  }

  #during(name: string, work: () => Promise<void>): void {
    const done = work().finally(() => {
      if (this.#busy.get(name) === done) this.#busy.delete(name);
      this.lookAfter();
    });
    this.#busy.set(name, done);
  }

  /** Whatever the rules are made of may have changed; then all that is there gets the new ones, also what tasks have. */
  async #refresh(): Promise<void> {
    const { clock } = this.#ground;
    for (const [key, { usedAtMs }] of this.#wanted)
      if (clock.monotonic() - usedAtMs > this.#options.forgetMs) this.#wanted.delete(key);
    const needs = [...this.#used.values(), ...[...this.#wanted.values()].map(({ need }) => need)];
    if (needs.length === 0) return;
    await this.#source.refresh(
      needs.map(({ network }) => network),
      this.#options.checkMs,
    );
    for (const [sandbox, need] of this.#used) {
      // What a name stands for, and cannot be learned now, may be in the rules that the earlier process set.
      if (!sandbox.areRulesKnown && !(await this.#source.knowsAll(need.network))) continue;
      const rules = await this.#maker.rules(need);
      if (rules.hash !== sandbox.rules.hash && this.#used.has(sandbox)) await this.#renew(sandbox, rules);
    }
    const hashes = new Set<string>();
    for (const { need } of this.#wanted.values()) hashes.add((await this.#maker.rules(need)).hash);
    for (const sandbox of this.#ready) if (!hashes.has(sandbox.rules.hash) || this.#isOld(sandbox)) this.#drop(sandbox);
  }

  /** The old ones stay in force where the new ones cannot be set. */
  async #renew(sandbox: Sandbox, rules: Rules): Promise<void> {
    const { log } = this.#ground;
    try {
      await sandbox.renew(rules);
      log.info({ sandbox: sandbox.name, rules: rules.hash }, "the rules of a sandbox were renewed");
    } catch (error) {
      log.warn({ sandbox: sandbox.name, ...errorFacts(error) }, "the rules of a sandbox could not be renewed");
    }
  }

  #dropSurplus(): void {
    for (const sandbox of this.#ready) {
      if (this.#ready.size <= this.#most()) return;
      this.#drop(sandbox);
    }
  }

  /** One after another, each when nothing else is being started. */
  async #refill(signal: AbortSignal): Promise<void> {
    for (let need = this.#missing(); need && !signal.aborted; need = this.#missing()) {
      await this.#ground.clock.sleep(this.#options.pauseMs, signal);
      await this.#ground.gate.runWhenIdle(async () => {});
      if (this.#ready.size >= this.#most()) return;
      const made = await this.#make(await this.#maker.rules(need), { localNames: need.localNames });
      if (made) this.#keep(made);
    }
  }

  /** Of the need that was had last, as many as there is room for; of the others what comes back. What tasks have comes back, too. */
  #missing(): SandboxNeed | undefined {
    const last = [...this.#wanted.values()].at(-1);
    const all = this.#ready.size + this.#used.size + this.#busy.size;
    return this.#ready.size < this.#options.ready && all < this.#most() ? last?.need : undefined;
  }

  /** Twice what is kept ready may wait, as what comes back is as good. */
  #most(): number {
    return Math.max(0, Math.min(this.#options.ready * 2, Math.floor(this.#freeBytes() / sandboxBytes)));
  }

  #isOld(sandbox: Sandbox): boolean {
    return this.#ground.clock.monotonic() - sandbox.bornAtMs > this.#options.maxAgeMs;
  }
}

function fits(sandbox: Sandbox, { need, hash, untilMs }: Pick<Waiter, "need" | "hash" | "untilMs">): boolean {
  const isFree = sandbox.tenant === undefined || (sandbox.tenant === need.tenant && need.reusable);
  const hasNames = JSON.stringify(sandbox.localNames) === JSON.stringify(need.localNames);
  return isFree && hasNames && sandbox.rules.hash === hash && sandbox.deadlineMs >= untilMs;
}
