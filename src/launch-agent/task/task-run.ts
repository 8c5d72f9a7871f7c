import { type Attachment, type Exit, isEngineError } from "../../engine/engine.ts";
import { spinUpStep } from "../../protocol/records.ts";
import type { Work } from "../../protocol/task.ts";
import type { Claim } from "../api/client.ts";
import { isFenced } from "../api/failure.ts";
import { errorFacts } from "../log.ts";
import { label } from "../plan/labels.ts";
import { deadlineMs } from "../plan/plan.ts";
import type { Waiting } from "../pool/member.ts";
import { LaunchLane } from "../relay/launch-lane.ts";
import { RecordRelay } from "../relay/records.ts";
import { TaskContainers } from "./containers.ts";
import type { TaskContext } from "./context.ts";
import { endOfDeath, endOfError, type TaskEnd } from "./end.ts";
import { offerTask, silence } from "./hand-over.ts";
import { keepLease } from "./heartbeat.ts";
import { settledWithin } from "./or-abort.ts";
import { reportEnd } from "./report.ts";
import { followService } from "./service.ts";
import { TaskSession } from "./session.ts";
import { type SpunUp, servicePlan, spinUp } from "./spin-up.ts";
import { shortId } from "./words.ts";

/** How soon the lease is first renewed when spinning up takes long; before that it would only be in the way. */
const firstHeartbeatMs = 500;
const hurryMs = 1_000;

/** One attempt of one task on this agent, from its claim to nothing of it being left. */
export class TaskRun {
  readonly claim: Claim;
  readonly #context: TaskContext;
  readonly #lane: LaunchLane;
  /** Ends everything of this run but its report and its cleanup. */
  readonly #abort = new AbortController();
  /** Ends posts: nobody listens any more. */
  readonly #unheard = new AbortController();
  readonly #reported = new AbortController();
  readonly #end = Promise.withResolvers<TaskEnd>();
  readonly #started = Promise.withResolvers<void>();
  readonly #background: Promise<unknown>[] = [];
  readonly #containers: TaskContainers;
  #session: TaskSession | undefined;
  /** Of a container that waited, and has not accepted the task yet: whatever becomes of it, the task can start elsewhere. */
  #offered: TaskSession | undefined;
  readonly #accepted = Promise.withResolvers<void>();
  #begun = false;
  #ended = false;
  #forced: { status: "canceled" | "timedout"; reason: string } | undefined;

  constructor(claim: Claim, context: TaskContext) {
    this.claim = claim;
    this.#context = context;
    const relay = new RecordRelay({
      post: (frames) => this.#post("launch", frames),
      onAck: () => {},
      onFailure: (error) => this.#onApiFailure(error),
    });
    this.#lane = new LaunchLane(relay, context.clock);
    this.#containers = new TaskContainers(context, this.#abort.signal);
  }

  /** Whether what carries these labels is this run's. */
  owns(labels: Readonly<Record<string, string>>): boolean {
    const { id, attempt } = this.claim.task;
    if (labels[label.task] === id && labels[label.attempt] === String(attempt)) return true;
    return this.#containers.knows(labels[label.member] ?? "");
  }

  /** Runs it to its end. Never rejects. `admitted` resolves when there is room for it. */
  async run(admitted: Promise<void>): Promise<void> {
    const lease = new AbortController();
    const heartbeat = this.#keepLease(lease.signal);
    try {
      await Promise.race([admitted, this.#end.promise]);
      if (!this.#ended) await this.#start();
    } catch (error) {
      this.#finish(this.#failure(error));
    }
    this.#started.resolve();
    const end = await this.#end.promise;
    await this.#containers.tellSeen(this.#lane);
    await this.#report(end);
    this.#reported.abort();
    lease.abort();
    this.#abort.abort(new Error("the task is over"));
    await this.#cleanUp();
    await Promise.allSettled([heartbeat, ...this.#background]);
  }

  /** This agent stops: what has not begun goes back to the queue, what has is cancelled; a second time without grace. */
  cancel(reason: string, options: { hurry: boolean }): void {
    if (options.hurry) this.#background.push(this.#abandon(reason));
    if (this.#begun) this.#stop("canceled", reason, options);
    else this.#finish({ kind: "infrastructure", message: reason });
  }

  /** A control plane that does not answer is not waited for when somebody waits for us. */
  async #abandon(reason: string): Promise<void> {
    const { clock, limits } = this.#context;
    await clock.sleep(hurryMs + limits.hurriedCleanUpMs, this.#reported.signal).catch(() => undefined);
    if (this.#reported.signal.aborted) return;
    this.#finish({ kind: "unheard", message: reason });
    this.#unheard.abort(new Error(reason));
  }

  /** An image may be removed between the look at it and the container: then it is looked for, and pulled, once more. */
  async #start(): Promise<void> {
    try {
      await this.#startOnce();
    } catch (error) {
      if (!isEngineError(error, "not-found") || this.#containers.primary !== undefined) throw error;
      this.#context.images.forgetAll();
      await this.#startOnce();
    }
  }

  async #startOnce(): Promise<void> {
    const { task, resourceClass } = this.claim;
    const spun = await spinUp(task, this.#context, { lane: this.#lane, resourceClass, signal: this.#abort.signal });
    const hasServices = spun.images.length > 1;
    const waited = !hasServices && (await this.#startWaiting(spun));
    if (!waited) await this.#startPrimary(spun, { handOver: !hasServices });
    if (hasServices) {
      await this.#startServices(spun);
      this.#session?.handOver(spun.work);
    }
    this.#lane.stepEnded(spinUpStep, { kind: "succeeded" });
    this.#background.push(this.#watchAcceptance());
    if (!hasServices) this.#context.pool.expect(task.container, spun.primary);
  }

  /** In a container that waits for a task of this shape. False where there is none that takes this one over at once. */
  async #startWaiting(spun: SpunUp): Promise<boolean> {
    const { pool, clock } = this.#context;
    const member = pool.take(spun.primary, deadlineMs(this.claim.task, clock.now()));
    const adopting = member && this.#containers.adopt(member);
    pool.yieldMemory();
    const waiting = await adopting;
    if (waiting) await this.#offer(waiting, spun.work);
    if (!this.#begun) this.#emit("miss");
    return this.#begun;
  }

  async #offer({ id, attachment, nonce, words }: Waiting, work: Work): Promise<void> {
    const { clock } = this.#context;
    const beganAt = clock.monotonic();
    const session = this.#openSession(attachment, { nonce, greeted: true });
    this.#offered = session;
    const offer = { id, session, work, accepted: this.#accepted.promise, hasBegun: () => this.#begun };
    if ((await offerTask(offer, this.#context)) === "refused") {
      this.#session = undefined;
      this.#offered = undefined;
      this.#background.push(this.#containers.discardPrimary(), session.close());
      return;
    }
    const tookMs = Math.round(clock.monotonic() - beganAt);
    this.#started.resolve();
    this.#emit("hit");
    this.#sayNetwork(words);
    this.#lane.line(spinUpStep, `Container ${shortId(id)} was waiting, handed over in ${tookMs} ms`);
    this.#background.push(this.#watchContainer(id));
  }

  async #startPrimary(spun: SpunUp, options: { handOver: boolean }): Promise<void> {
    const { clock } = this.#context;
    const beganAt = clock.monotonic();
    const id = await this.#containers.startPrimary(spun.primary, {
      untilMs: deadlineMs(this.claim.task, clock.now()),
      onNetwork: (words) => this.#sayNetwork(words),
      onAttached: (attachment) => {
        const session = this.#openSession(attachment, { nonce: this.#context.randomBytes(16), greeted: false });
        if (options.handOver) session.handOver(spun.work);
      },
    });
    this.#started.resolve();
    this.#emit("started");
    const tookMs = Math.round(clock.monotonic() - beganAt);
    this.#lane.line(spinUpStep, `Container ${shortId(id)} started in ${tookMs} ms`);
    this.#background.push(this.#watchContainer(id));
  }

  #sayNetwork(words: readonly string[]): void {
    for (const line of words) this.#lane.line(spinUpStep, line);
  }

  #openSession(attachment: Attachment, greeting: { nonce: Uint8Array; greeted: boolean }): TaskSession {
    const session: TaskSession = new TaskSession({
      task: this.claim.task,
      attachment,
      ...greeting,
      blobs: this.#context.api.blobs(this.claim.token),
      post: (frames) => this.#post("task", frames),
      signal: this.#abort.signal,
      onAccepted: () => this.#onAccepted(),
      onReported: () => this.#finish({ kind: "reported" }),
      onViolation: (violation) => {
        if (this.#offered !== session)
          this.#finish({ kind: "infrastructure", message: `task channel: ${violation.message}` });
      },
      onApiFailure: (error) => this.#onApiFailure(error),
    });
    this.#session = session;
    this.#background.push(session.ended.then(() => this.#watchSilence(session)));
    return session;
  }

  async #startServices(spun: SpunUp): Promise<void> {
    const { task } = this.claim;
    const joins = this.#containers.primary ?? "";
    await Promise.all(
      task.container.images.slice(1).map(async (spec, at) => {
        const index = at + 1;
        const image = spun.images[index];
        if (!image) return;
        const plan = servicePlan(task, this.#context, { spec, image, agent: spun.agent, index, joins });
        const started = await this.#containers.startService(plan);
        const service = { ...started, step: index, name: spec.image, lane: this.#lane, signal: this.#abort.signal };
        this.#background.push(followService(service, this.#context));
      }),
    );
  }

  async #watchAcceptance(): Promise<void> {
    const { acceptMs } = this.#context.limits;
    await this.#sleep(acceptMs);
    if (this.#begun || this.#ended) return;
    const said = this.#session?.stderr;
    const message = `the task agent did not take the task over within ${acceptMs / 1000} s${said ? `. It said: ${said}` : ""}`;
    this.#finish({ kind: "infrastructure", message });
  }

  #onAccepted(): void {
    this.#begun = true;
    this.#offered = undefined;
    this.#accepted.resolve();
    this.#emit("accepted");
    if (this.#forced) this.#session?.cancel(this.#forced.status, this.#forced.reason);
    this.#background.push(this.#watchRunTime());
  }

  /** The task agent ends the task itself when its time is up; this is for one that does not. */
  async #watchRunTime(): Promise<void> {
    const { maxRunTimeMs, killGraceMs } = this.claim.task.work;
    await this.#sleep(maxRunTimeMs + killGraceMs + this.#context.limits.runTimeSlackMs);
    if (this.#ended || this.#abort.signal.aborted) return;
    this.#stop("timedout", `longer than the limit of ${Math.round(maxRunTimeMs / 1000)} s`, { hurry: false });
  }

  /** The end of the container, if it comes before the task's own word. */
  async #watchContainer(id: string): Promise<void> {
    const end = await this.#containerEnd(id);
    if (!end) return;
    if (this.#session?.saidEnd) {
      // All that it had to say is on its way; the last acknowledgement ends the task.
      await this.#session.flushed();
      return;
    }
    this.#finish(end);
  }

  async #containerEnd(id: string): Promise<TaskEnd | undefined> {
    const { engine, limits, clock } = this.#context;
    try {
      const exit = await engine.wait(id, this.#abort.signal);
      await settledWithin(this.#session?.ended ?? Promise.resolve(), limits.drainMs, clock);
      return this.#deathEnd(exit);
    } catch (error) {
      if (this.#abort.signal.aborted) return undefined;
      if (isEngineError(error, "not-found")) {
        return this.#forcedEnd() ?? { kind: "infrastructure", message: "the container was removed from outside" };
      }
      return this.#failure(error);
    }
  }

  #failure(error: unknown): TaskEnd {
    const end = endOfError(error);
    if (end.kind === "infrastructure" && (isEngineError(error, "unreachable") || isEngineError(error, "forbidden"))) {
      this.#context.onEvent({ type: "engine-lost", message: end.message, atMs: this.#context.clock.monotonic() });
    }
    return end;
  }

  /** Output that ends while the container goes on: the attachment broke, and nobody hears the task any more. */
  async #watchSilence(session: TaskSession): Promise<void> {
    if (this.#offered === session) return;
    await this.#sleep(this.#context.limits.drainMs);
    if (this.#ended || this.#abort.signal.aborted || this.#session?.saidEnd) return;
    this.#finish(this.#forcedEnd() ?? { kind: "infrastructure", message: "the connection to the container broke" });
  }

  #deathEnd(exit: Exit): TaskEnd {
    return endOfDeath({
      exit,
      begun: this.#begun,
      limits: this.claim.task.container.limits,
      ...(this.#forced ? { forced: this.#forced } : {}),
      stderr: this.#session?.stderr ?? "",
    });
  }

  #stop(status: "canceled" | "timedout", reason: string, options: { hurry: boolean }): void {
    if (this.#ended) return;
    const again = this.#forced !== undefined;
    this.#forced ??= { status, reason };
    if (!this.#begun) return this.#finish({ kind: "ended", ...this.#forced, message: reason });
    this.#session?.cancel(status, reason);
    if (options.hurry && !again) this.#session?.cancel(status, reason);
    const graceMs = this.claim.task.work.killGraceMs + this.#context.limits.cancelSlackMs;
    this.#background.push(this.#insist(options.hurry || again ? hurryMs : graceMs));
  }

  async #insist(afterMs: number): Promise<void> {
    await this.#sleep(afterMs);
    const id = this.#containers.primary;
    if (this.#ended || id === undefined) return;
    const killed = this.#context.engine.kill(id, this.#abort.signal);
    // Whether or not the engine obeys: the task ends here.
    if (!(await settledWithin(killed, this.#context.limits.drainMs, this.#context.clock))) {
      this.#finish(this.#forcedEnd() ?? { kind: "infrastructure", message: "the container could not be killed" });
    }
  }

  #forcedEnd(): TaskEnd | undefined {
    if (!this.#forced) return undefined;
    return { kind: "ended", status: this.#forced.status, message: this.#forced.reason };
  }

  async #keepLease(signal: AbortSignal): Promise<void> {
    const { clock, limits, api, random } = this.#context;
    await settledWithin(this.#started.promise, firstHeartbeatMs, clock);
    await keepLease({
      api,
      claim: this.claim,
      clock,
      random,
      signal,
      cutOffMs: limits.cutOffMs,
      onCancel: (reason) => this.#stop("canceled", reason, { hurry: false }),
      onLost: (message) => this.#finish({ kind: "unheard", message }),
    });
  }

  #onApiFailure(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (isFenced(error)) this.#finish({ kind: "unheard", message });
    else this.#finish({ kind: "infrastructure", message });
  }

  /** The first end counts. */
  #finish(end: TaskEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (end.kind === "unheard") this.#unheard.abort(new Error(end.message));
    if (!this.#begun) this.#abort.abort(new Error("the task is over"));
    this.#end.resolve(end);
  }

  async #report(end: TaskEnd): Promise<void> {
    const { task } = this.claim;
    const message = end.kind === "reported" ? {} : { message: end.message };
    this.#context.log.info({ task: task.id, attempt: task.attempt, end: end.kind, ...message }, "task ended");
    this.#context.onEvent({ type: "ended", ...this.#ids(), end: end.kind, ...message });
    try {
      if (end.kind === "infrastructure" && !this.#begun) await this.#makeSure();
      await reportEnd(end, {
        context: this.#context,
        claim: this.claim,
        lane: this.#lane,
        session: this.#session,
        begun: this.#begun,
        signal: this.#unheard.signal,
      });
    } catch (error) {
      this.#context.log.warn({ task: task.id, ...errorFacts(error) }, "the end of a task could not be reported");
    }
  }

  /** A task is only given back when it surely did not begin. */
  async #makeSure(): Promise<void> {
    const id = this.#containers.primary;
    if (!this.#containers.mayRun || id === undefined || !this.#session) return;
    await silence(id, this.#session, this.#context);
  }

  async #cleanUp(): Promise<void> {
    await this.#containers.removeAll();
    await this.#session?.close();
    this.#emit("removed");
  }

  async #post(lane: "launch" | "task", frames: Buffer) {
    return await this.#context.api.postRecords(
      { token: this.claim.token, lane, frames },
      { signal: this.#unheard.signal, giveUpAfterMs: this.#context.limits.cutOffMs },
    );
  }

  async #sleep(ms: number): Promise<void> {
    await this.#context.clock.sleep(ms, this.#abort.signal).catch(() => undefined);
  }

  #ids() {
    const { id, attempt } = this.claim.task;
    return { taskId: id, attempt, atMs: this.#context.clock.monotonic() };
  }

  #emit(type: "hit" | "miss" | "started" | "accepted" | "removed"): void {
    this.#context.onEvent({ type, ...this.#ids() });
  }
}
