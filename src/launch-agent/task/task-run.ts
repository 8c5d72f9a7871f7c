import { type EngineError, isEngineError } from "../../engine/engine.ts";
import type { Claim } from "../api/client.ts";
import { isFenced } from "../api/failure.ts";
import { errorFacts } from "../log.ts";
import { label } from "../plan/labels.ts";
import { LaunchLane } from "../relay/launch-lane.ts";
import { RecordRelay } from "../relay/records.ts";
import { type Adoptable, resumeTask } from "./adoptable.ts";
import { watchContainer } from "./container-watch.ts";
import { TaskContainers } from "./containers.ts";
import type { TaskContext } from "./context.ts";
import { endOfDeath, endOfError, type TaskEnd } from "./end.ts";
import { keepLease } from "./heartbeat.ts";
import { TaskLink } from "./link.ts";
import { settledWithin } from "./or-abort.ts";
import type { RunEvent, RunParts } from "./parts.ts";
import { PauseTeller } from "./paused.ts";
import { reportEnd } from "./report.ts";
import { TaskServices } from "./services.ts";
import { surelyNotBegun, TaskStarter } from "./starter.ts";
import { TaskStopper } from "./stopper.ts";

/** How soon the lease is first renewed when spinning up takes long; before that it would only be in the way. */
const firstHeartbeatMs = 500;
/** And from the start of the steps on, so that what they say first is stored first. */
const headStartMs = 50;
const hurryMs = 1_000;
/** So that what the steps say first is not stored behind what we say of ourselves, line by line. */
const gatherMs = 25;

/** One attempt of one task on this agent, from its claim, or its adoption, to nothing of it being left. */
export class TaskRun {
  readonly claim: Claim;
  readonly #context: TaskContext;
  readonly #adoptable: Adoptable | undefined;
  readonly #parts: RunParts;
  readonly #pauses: PauseTeller;
  readonly #stopper: TaskStopper;
  /** Ends everything of this run but its report and its cleanup. */
  readonly #abort = new AbortController();
  /** Ends posts: nobody listens any more. */
  readonly #unheard = new AbortController();
  readonly #reported = new AbortController();
  readonly #end = Promise.withResolvers<TaskEnd>();
  readonly #started = Promise.withResolvers<void>();
  readonly #background: Promise<unknown>[] = [];
  #following = false;
  #ranBefore = false;
  #ended = false;
  #isAdopted = false;
  #isTimed = false;

  /** `adoptable`: what an earlier process of this agent has left of it. */
  constructor(claim: Claim, context: TaskContext, adoptable?: Adoptable) {
    this.claim = claim;
    this.#context = context;
    this.#adoptable = adoptable;
    this.#parts = this.#makeParts(adoptable);
    const { containers, lane } = this.#parts;
    this.#pauses = new PauseTeller({ task: claim.task.id, containers, lane, ground: context });
    this.#stopper = new TaskStopper(this.#parts, (end) => this.#finish(end));
  }

  /** Whether what carries these labels is this run's. */
  owns(labels: Readonly<Record<string, string>>): boolean {
    const { id, attempt } = this.claim.task;
    if (labels[label.task] === id && labels[label.attempt] === String(attempt)) return true;
    if (this.#adoptable?.sandbox !== undefined && labels[label.sandbox] === this.#adoptable.sandbox) return true;
    return this.#parts.containers.knows(labels[label.member] ?? "");
  }

  /** Names of containers that somebody has paused, of whichever task. */
  see(paused: ReadonlySet<string>): void {
    if (!this.#ended) this.#pauses.see(paused);
  }

  /** Runs it to its end. Never rejects. `admitted` resolves when there is room for it. */
  async run(admitted: Promise<void>): Promise<void> {
    const lease = new AbortController();
    const heartbeat = this.#keepLease(lease.signal);
    const starting = this.#startOnceAdmitted(admitted);
    const end = await this.#end.promise;
    // Who cancelled what had not begun need not wait until the engine is done with a container that nobody wants any more.
    if (end.kind !== "ended" || this.#parts.link.begun) await starting;
    this.#pauses.end();
    if (end.kind !== "unheard") await this.#parts.services.end();
    await this.#parts.containers.tellSeen(this.#parts.lane);
    await this.#report(end);
    this.#reported.abort();
    lease.abort();
    this.#abort.abort(new Error("the task is over"));
    await starting;
    await this.#cleanUp();
    await Promise.allSettled([heartbeat, ...this.#background]);
  }

  /** Never rejects: what goes wrong is the end of the task. */
  async #startOnceAdmitted(admitted: Promise<void>): Promise<void> {
    try {
      await Promise.race([admitted, this.#end.promise]);
      if (!this.#ended) await this.#start();
    } catch (error) {
      this.#finish(this.#failure(error));
    }
    this.#started.resolve();
  }

  /** This agent stops: what has not begun goes back to the queue, what has is cancelled; a second time without grace. */
  cancel(reason: string, options: { hurry: boolean }): void {
    if (options.hurry) this.#background.push(this.#abandon(reason));
    if (this.#parts.link.begun) this.#stop("canceled", reason, options);
    else this.#finish({ kind: "infrastructure", message: reason });
  }

  #makeParts(adoptable: Adoptable | undefined): RunParts {
    const { claim } = this;
    const context = this.#context;
    const { signal } = this.#abort;
    const onApiFailure = (error: unknown) => this.#onApiFailure(error);
    const relay = new RecordRelay({
      post: (frames) => this.#post("launch", frames),
      onAck: () => {},
      onFailure: onApiFailure,
      gather: async (stop) => await context.clock.sleep(gatherMs, stop),
    });
    const from = adoptable && { acked: adoptable.claim.acked.launch, openSteps: adoptable.claim.openSteps };
    const lane = new LaunchLane(relay, context.clock, from);
    const services = new TaskServices(context, { lane, signal });
    const link = new TaskLink({
      task: claim.task,
      blobs: context.api.blobs(claim.token),
      post: (frames) => this.#post("task", frames),
      ...(adoptable ? { acked: adoptable.claim.acked.task } : {}),
      signal,
      beforeEnd: async () => await services.end(),
      onAccepted: () => this.#onAccepted(),
      onReported: () => this.#finish({ kind: "reported" }),
      onViolation: (violation) =>
        this.#finish({ kind: "infrastructure", message: `task channel: ${violation.message}` }),
      onApiFailure,
    });
    return {
      claim,
      context,
      lane,
      link,
      containers: new TaskContainers(context, signal),
      services,
      signal,
      alongside: (work) => void this.#background.push(work),
      follow: (id) => this.#follow(id),
      emit: (type) => this.#emit(type),
    };
  }

  async #start(): Promise<void> {
    if (this.#adoptable && (await resumeTask(this.#adoptable, this.#parts)) === "resumed") {
      // Whether or not its task agent answers: one that stands still has its limits, too.
      return this.#watchRunTime();
    }
    await new TaskStarter(this.#parts).start();
    this.#background.push(this.#watchAcceptance());
  }

  async #watchAcceptance(): Promise<void> {
    const { acceptMs } = this.#context.limits;
    const { link, signal } = this.#parts;
    do await this.#context.clock.sleep(acceptMs, signal).catch(() => undefined);
    while (this.#context.presence.isAway && !signal.aborted);
    if (link.begun || this.#ended) return;
    const said = link.stderr;
    const message = `the task agent did not take the task over within ${acceptMs / 1000} s${said ? `. It said: ${said}` : ""}`;
    this.#finish({ kind: "infrastructure", message });
  }

  #onAccepted(): void {
    this.#stopper.remind();
    if (this.#ranBefore) return;
    this.#ranBefore = true;
    this.#emit("accepted");
    this.#watchRunTime();
  }

  #watchRunTime(): void {
    if (!this.#isTimed) this.#background.push(this.#stopper.watchRunTime());
    this.#isTimed = true;
  }

  #follow(id: string): void {
    this.#started.resolve();
    if (this.#following) return;
    this.#following = true;
    this.#background.push(this.#awaitFate(id));
  }

  /** The end of the container, if it comes before the task's own word. */
  async #awaitFate(id: string): Promise<void> {
    const { link, signal } = this.#parts;
    const fate = await watchContainer({ id, link, ground: this.#context, signal });
    if (!fate) return;
    if (fate.kind === "lost") return this.#finish(this.#stopper.forcedEnd ?? this.#failure(fate.error));
    if (fate.kind === "gone") {
      const message = "the container was removed from outside";
      return this.#finish(this.#stopper.forcedEnd ?? { kind: "infrastructure", message });
    }
    const { forced } = this.#stopper;
    const { limits } = this.claim.task.container;
    const stderr = link.stderr;
    this.#finish(endOfDeath({ exit: fate.exit, begun: link.begun, limits, stderr, ...(forced ? { forced } : {}) }));
  }

  #failure(error: unknown): TaskEnd {
    if (isEngineError(error, "unreachable") || isEngineError(error, "forbidden")) this.#tellLost(error);
    return endOfError(error);
  }

  #tellLost({ message }: EngineError): void {
    this.#context.onEvent({ type: "engine-lost", message, atMs: this.#context.clock.monotonic() });
  }

  #stop(status: "canceled" | "timedout", reason: string, options: { hurry: boolean }): void {
    if (!this.#ended) this.#stopper.stop(status, reason, options);
  }

  /** A control plane that does not answer is not waited for when somebody waits for us. */
  async #abandon(reason: string): Promise<void> {
    const { clock, limits } = this.#context;
    await clock.sleep(hurryMs + limits.hurriedCleanUpMs, this.#reported.signal).catch(() => undefined);
    if (this.#reported.signal.aborted) return;
    this.#finish({ kind: "unheard", message: reason });
    this.#unheard.abort(new Error(reason));
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    const { clock, limits, api, random } = this.#context;
    await settledWithin(this.#started.promise, firstHeartbeatMs, clock);
    await clock.sleep(headStartMs, signal).catch(() => undefined);
    await keepLease({
      api,
      claim: this.claim,
      clock,
      random,
      signal,
      cutOffMs: limits.cutOffMs,
      onCancel: (reason) => this.#stop("canceled", reason, { hurry: false }),
      onLost: (message, { adopted }) => this.#lose(message, adopted),
    });
  }

  #onApiFailure(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (isFenced(error)) this.#lose(message, error.adopted);
    else this.#finish({ kind: "infrastructure", message });
  }

  /** `adopted`: the containers are another process's now, whatever else this one thinks of them. */
  #lose(message: string, adopted: boolean): void {
    this.#isAdopted ||= adopted;
    this.#finish({ kind: "unheard", message });
  }

  /** The first end counts. */
  #finish(end: TaskEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (end.kind === "unheard") this.#unheard.abort(new Error(end.message));
    if (!this.#parts.link.begun) this.#abort.abort(new Error("the task is over"));
    this.#end.resolve(end);
  }

  async #report(end: TaskEnd): Promise<void> {
    const { task } = this.claim;
    const message = end.kind === "reported" ? {} : { message: end.message };
    this.#context.log.info({ task: task.id, attempt: task.attempt, end: end.kind, ...message }, "task ended");
    this.#context.onEvent({ type: "ended", ...this.#ids(), end: end.kind, ...message });
    const { lane, link } = this.#parts;
    try {
      const begun = link.begun || (end.kind === "infrastructure" && !(await surelyNotBegun(this.#parts)));
      await reportEnd(end, {
        context: this.#context,
        claim: this.claim,
        lane,
        link,
        begun,
        signal: this.#unheard.signal,
      });
    } catch (error) {
      if (isFenced(error)) this.#isAdopted ||= error.adopted;
      this.#context.log.warn({ task: task.id, ...errorFacts(error) }, "the end of a task could not be reported");
    }
  }

  async #cleanUp(): Promise<void> {
    if (!this.#isAdopted) await this.#parts.containers.removeAll();
    await this.#parts.link.close();
    this.#emit("removed");
  }

  async #post(lane: "launch" | "task", frames: Buffer) {
    return await this.#context.api.postRecords(
      { token: this.claim.token, lane, frames },
      { signal: this.#unheard.signal, giveUpAfterMs: this.#context.limits.cutOffMs },
    );
  }

  #ids() {
    const { id, attempt } = this.claim.task;
    return { taskId: id, attempt, atMs: this.#context.clock.monotonic() };
  }

  #emit(type: RunEvent): void {
    this.#context.onEvent({ type, ...this.#ids() });
  }
}
