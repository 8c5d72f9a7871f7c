import type { EngineInfo } from "../engine/engine.ts";
import { AgentApi, type Claim } from "./api/client.ts";
import { Room, shareOf } from "./claim/capacity.ts";
import { ConnectionState } from "./claim/connection-state.ts";
import { type ClaimAnswer, claimTasks } from "./claim/loop.ts";
import { ClassTokens } from "./claim/tokens.ts";
import { type LaidGround, layGround } from "./ground.ts";
import type { AgentStatus, Ending, LaunchAgent, LaunchAgentOptions } from "./launch-agent.ts";
import { Ledger } from "./ledger/ledger.ts";
import { Succession } from "./ledger/succession.ts";
import { Sweeper } from "./ledger/sweeper.ts";
import { errorFacts } from "./log.ts";
import { boundDraining, boundedClaim, endWhenIdle, isRefusedForGood, type Modes } from "./modes.ts";
import { label, type Role } from "./plan/labels.ts";
import type { ServedClass } from "./plan/owner.ts";
import { waitingBytes } from "./pool/pool.ts";
import { noSandboxes } from "./sandbox/options.ts";
import { proveSandboxes } from "./sandbox/prove.ts";
import type { Adoptable } from "./task/adoptable.ts";
import type { AgentEvent, TaskContext } from "./task/context.ts";
import { watchPauses } from "./task/paused.ts";
import { TaskRun } from "./task/task-run.ts";

const defaultClaimWaitMs = 30_000;
const apiTimeoutMs = 30_000;

type EventWithoutTime = AgentEvent extends infer E ? (E extends AgentEvent ? Omit<E, "atMs"> : never) : never;

/** Claims tasks of one class and runs each in a container of its own, until it is drained or stopped. */
export function startLaunchAgent(options: LaunchAgentOptions): LaunchAgent {
  const agent = new Agent(options);
  return {
    ready: agent.ready,
    drain: async () => await agent.drain(),
    stop: async (reason) => await agent.stop(reason),
    closed: agent.closed,
    status: () => agent.status(),
  };
}

class Agent {
  readonly ready: Promise<EngineInfo>;
  readonly closed: Promise<void>;
  readonly #options: LaunchAgentOptions;
  readonly #api: AgentApi;
  readonly #room: Room;
  readonly #sweeper: Sweeper;
  /** Undefined: nobody was this agent before. */
  readonly #succession: Succession | undefined;
  readonly #runs = new Map<TaskRun, Promise<void>>();
  readonly #tokens: ClassTokens | undefined;
  readonly #connection: ConnectionState;
  /** Ends claiming. */
  readonly #draining = new AbortController();
  /** Ends what goes on behind the tasks: warming up, sweeping. */
  readonly #closing = new AbortController();
  #laid: LaidGround | undefined;
  #stopReason: string | undefined;
  #ending: Ending | undefined;
  #lastBusyMs: number;

  constructor(options: LaunchAgentOptions) {
    this.#options = options;
    const { token, ...address } = options.api;
    const { clock, version } = options;
    this.#api = new AgentApi({
      address,
      token,
      version,
      clock,
      random: this.#random,
      timeoutMs: apiTimeoutMs,
      onFailure: (failure) => this.#emit({ type: "api-failed", kind: failure.kind }),
      onPosted: (lane, bytes) => lane === "task" && this.#emit({ type: "output", bytes }),
    });
    this.#connection = new ConnectionState(clock);
    this.#tokens = options.classes && new ClassTokens({ ...options, tokens: options.classes, api: this.#api });
    this.#lastBusyMs = clock.monotonic();
    this.#room = new Room(options.capacity);
    this.#succession = this.#successionOf(options.session);
    const ledger = new Ledger({
      engine: options.engine,
      owns: (labels) => this.#owns(labels),
      mayClear: (labels) => this.#succession?.mayClear(labels) ?? labels[label.agent] === options.name,
      onOrphans: (count) => options.onEvent?.({ type: "leaks-found", count, atMs: clock.monotonic() }),
      now: () => clock.now(),
      log: options.log,
    });
    this.#sweeper = new Sweeper({ ledger, succession: this.#succession, clock, log: options.log });
    this.#laid = options.laid;
    const engineInfo = options.engineInfo ?? options.laid?.ground.info;
    this.ready = engineInfo ? Promise.resolve(engineInfo) : options.engine.info(this.#closing.signal);
    this.closed = this.#live();
  }

  async drain(ending: Ending = "drained"): Promise<void> {
    this.#ending ??= ending;
    if (!this.#draining.signal.aborted) void this.#boundDraining();
    this.#draining.abort(new Error("draining"));
    await this.closed;
  }

  status(): AgentStatus {
    const pool = this.#laid?.pool;
    return {
      controlPlane: this.#connection.contact,
      ending: this.#ending,
      running: this.#runs.size,
      capacity: this.#options.capacity,
      classes: this.#tokens?.classes ?? [],
      pool: { containers: pool?.size ?? 0, waiting: pool?.waiting ?? 0, bytes: (pool?.size ?? 0) * waitingBytes },
      sandboxes: this.#laid?.ground.sandboxes.state ?? noSandboxes,
      disk: this.#laid?.ground.disk?.state,
    };
  }

  async stop(reason: string): Promise<void> {
    this.#ending = "stopped";
    await this.#cancelAll(reason);
  }

  async #cancelAll(reason: string): Promise<void> {
    const hurry = this.#stopReason !== undefined;
    this.#stopReason ??= reason;
    if (hurry) this.#laid?.hurrying.abort(new Error(reason));
    this.#draining.abort(new Error(reason));
    for (const run of this.#runs.keys()) run.cancel(reason, { hurry });
    await this.closed;
  }

  async #live(): Promise<void> {
    const { log, name } = this.#options;
    try {
      const context = this.#context(await this.ready);
      log.info({ name, engine: context.info.kind, version: context.info.version }, "launch agent started");
      const warmed = context.taskAgent.warm(this.#closing.signal);
      const { looked, adopted } = this.#adopt(context);
      const swept = this.#sweeper.run(looked, this.#closing.signal);
      const { pool, sandboxes } = context;
      await proveSandboxes(context, this.#draining.signal);
      const keeping = { signal: this.#draining.signal, freeBytes: () => this.#room.freeMemoryBytes };
      // Rules follow their names and the host as long as a task runs.
      const ruled = sandboxes.keep({ ...keeping, signal: this.#closing.signal });
      const watched = watchPauses(context, { runs: () => this.#runs.keys(), signal: this.#closing.signal });
      const kept = Promise.all([pool.keep(keeping), ruled, watched, context.disk?.keep(keeping.signal)]);
      const idle = this.#endWhenIdle();
      await this.#claim(context);
      await idle;
      const closed = pool.close();
      await adopted;
      while (this.#runs.size > 0) await Promise.all(this.#runs.values());
      this.#closing.abort(new Error("closing"));
      await Promise.all([warmed, swept, kept, closed]);
      // Every removal was confirmed by the engine, but for those that failed; and what an earlier process left may still stand.
      if ((context.leftovers.size > 0 || this.#sweeper.owesOne) && !context.hurry.aborted) await this.#sweeper.last();
    } catch (error) {
      log.error(errorFacts(error), "the engine cannot be used");
    } finally {
      this.#draining.abort(new Error("closing"));
      this.#closing.abort(new Error("closing"));
      this.#laid?.ground.presence.close();
      await this.#laid?.pool.close();
      await this.#laid?.ground.sandboxes.close();
      await this.#succession?.identity.close();
      await this.#api.close();
    }
  }

  async #claim(context: TaskContext): Promise<void> {
    const { clock, newId, log } = this.#options;
    const tokens = this.#succession?.identity ?? this.#tokens;
    await claimTasks({
      api: this.#api,
      agent: context.agent,
      room: this.#room,
      waitMs: this.#options.claimWaitMs ?? defaultClaimWaitMs,
      ready: async (signal) => {
        await context.presence.back(signal);
        return await context.disk?.mayClaim(signal);
      },
      session: this.#options.session,
      onNameTaken: (error) => this.#succession?.lost(error),
      onClaim: (claim) => this.#run(claim, context),
      onAnswer: (answer) => this.#onAnswer(answer),
      ...(tokens ? { tokens } : {}),
      clock,
      random: this.#random,
      newId,
      log,
      signal: this.#draining.signal,
    });
  }

  #onAnswer(answer: ClaimAnswer): void {
    this.#connection.take(answer);
    if (answer.result !== "reached") this.#emit({ type: "claim", result: answer.result });
    // Whoever gives one token only, and no class, knows better.
    if (!this.#tokens || !isRefusedForGood(this.#connection, this.#modes)) return;
    this.#options.log.error({}, "the control plane keeps refusing all tokens: ending");
    void this.drain("refused");
  }

  get #modes(): Modes {
    return this.#options.modes ?? {};
  }

  async #endWhenIdle(): Promise<void> {
    await endWhenIdle(
      { ...this.#options, modes: this.#modes },
      {
        busy: () => this.#runs.size > 0,
        lastBusyMs: () => this.#lastBusyMs,
        end: () => void this.drain("done"),
        signal: this.#draining.signal,
      },
    );
  }

  async #boundDraining(): Promise<void> {
    const cancel = () => void this.#cancelAll("the launch agent drained for longer than a task may run");
    await boundDraining({ ...this.#options, modes: this.#modes }, { cancel, signal: this.#closing.signal });
  }

  #run(claimed: Claim, context: TaskContext): void {
    const claim = boundedClaim(claimed, this.#modes);
    const { task, resourceClass, waitedMs } = claim;
    context.onEvent({ type: "claimed", taskId: task.id, attempt: task.attempt, atMs: context.clock.monotonic() });
    if (waitedMs !== undefined) this.#emit({ type: "queue-wait", resourceClass, waitedMs });
    context.log.info({ task: task.id, attempt: task.attempt, job: task.job.name, waitedMs }, "task claimed");
    this.#begin(claim, context);
  }

  #begin(claim: Claim, context: TaskContext, adoptable?: Adoptable): void {
    const { task } = claim;
    const unguard = this.#options.guard?.(task);
    const place = this.#room.admit(shareOf(task.container));
    const claimedAt = context.clock.monotonic();
    void place.admitted.then(() =>
      this.#emit({ type: "admitted", taskId: task.id, waitedMs: context.clock.monotonic() - claimedAt }),
    );
    const run = new TaskRun(claim, context, adoptable);
    // One that runs already waits for nobody.
    const done = run.run(adoptable ? Promise.resolve() : place.admitted).finally(() => {
      this.#runs.delete(run);
      this.#lastBusyMs = context.clock.monotonic();
      unguard?.();
      place.release();
      this.#room.leavePlace();
      context.pool.lookAfter();
    });
    this.#runs.set(run, done);
    if (this.#modes.singleTask) void this.drain("done");
    // Claimed in the moment in which it was stopped.
    if (this.#stopReason !== undefined) run.cancel(this.#stopReason, { hurry: false });
  }

  /**
   * Goes on with what earlier processes of this agent were running, until it is drained: then the next process does it. `looked`: for
   * the first time, or never. Neither rejects.
   */
  #adopt(context: TaskContext): { looked: Promise<void>; adopted: Promise<void> } {
    const { promise: looked, resolve } = Promise.withResolvers<void>();
    const adopting = {
      adopt: (adoptable: Adoptable) => {
        this.#room.occupyPlace();
        this.#begin(adoptable.claim, context, adoptable);
      },
      onLooked: () => {
        resolve();
        this.#sweeper.lookAgain();
      },
    };
    const running = this.#succession?.run(context, adopting, this.#draining.signal) ?? Promise.resolve();
    return { looked, adopted: running.catch(() => undefined).finally(resolve) };
  }

  #successionOf(session: string | undefined): Succession | undefined {
    if (session === undefined) return undefined;
    const { name, hostname, version, scope } = this.#options;
    return new Succession({
      ...this.#options,
      api: this.#api,
      session: { name, session, hostname, version },
      scope,
      tokens: this.#tokens ?? new ClassTokens({ ...this.#options, tokens: this.#served, api: this.#api }),
      owns: (labels) => this.#owns(labels),
      random: this.#random,
    });
  }

  get #served(): readonly ServedClass[] {
    return this.#options.classes ?? [{ token: this.#options.api.token }];
  }

  #context(info: EngineInfo): TaskContext {
    this.#laid ??= layGround({ ...this.#options, classes: this.#served }, info);
    const { ground, pool } = this.#laid;
    const { policy = {}, onEvent = () => {}, clock } = this.#options;
    ground.gate.onWait((waitedMs) => onEvent({ type: "gate", waitedMs, atMs: clock.monotonic() }));
    return { ...ground, api: this.#api, pool, policy, onEvent };
  }

  #owns(labels: Readonly<Record<string, string>>): boolean {
    const sandbox = labels[label.role] === ("sandbox" satisfies Role) ? labels[label.sandbox] : undefined;
    if (sandbox !== undefined && this.#laid?.ground.sandboxes.owns(sandbox)) return true;
    // Only the process that made it can tell that a helper is still needed.
    if (labels[label.role] === "helper") return labels[label.session] === this.#options.session;
    const member = labels[label.member];
    if (member !== undefined && this.#laid?.pool.owns(member)) return true;
    return [...this.#runs.keys()].some((run) => run.owns(labels));
  }

  #emit(event: EventWithoutTime): void {
    this.#options.onEvent?.({ ...event, atMs: this.#options.clock.monotonic() });
  }

  readonly #random = (): number => (this.#options.random ?? Math.random)();
}
