import { isEngineError } from "../../engine/engine.ts";
import { spinUpStep } from "../../protocol/records.ts";
import type { Work } from "../../protocol/task.ts";
import { lifeMs } from "../plan/deadline.ts";
import type { Waiting } from "../pool/member.ts";
import { offerTask, silence } from "./hand-over.ts";
import { settledWithin } from "./or-abort.ts";
import type { RunParts } from "./parts.ts";
import { handOverSubject } from "./proof.ts";
import { type SpunUp, servicePlan, spinUp } from "./spin-up.ts";
import { shortId } from "./words.ts";

type Next = "again" | "follow" | "give-up";

/** An engine that fails again and again at the same start does not get better. */
const mostStarts = 10;

/** Brings a task into a container, from its images to its task agent having been told. */
export class TaskStarter {
  readonly #parts: RunParts;
  #starts = 0;
  #lookedAgain = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** Again, as long as nothing can have begun, where the engine went away in the middle, or an image did. */
  async start(): Promise<void> {
    for (;;) {
      this.#starts++;
      try {
        await this.#parts.context.presence.back(this.#parts.signal);
        return await this.#startOnce();
      } catch (error) {
        const next = await this.#afterFailure(error);
        if (next === "give-up") throw error;
        if (next === "follow") return;
      }
    }
  }

  async #afterFailure(error: unknown): Promise<Next> {
    const { context, containers, signal } = this.#parts;
    if (signal.aborted) return "give-up";
    if (isEngineError(error, "not-found") && containers.primary === undefined && !this.#lookedAgain) {
      // An image was removed between the look at it and the container: it is looked for, and pulled, once more.
      this.#lookedAgain = true;
      context.images.forgetAll();
      return "again";
    }
    if (!isEngineError(error, "unreachable") || this.#starts >= mostStarts) return "give-up";
    return await this.#awaitEngine(error);
  }

  async #awaitEngine(error: Error): Promise<Next> {
    const { context, lane, link, signal, containers } = this.#parts;
    const { clock, limits, presence } = context;
    lane.line(spinUpStep, "The engine does not answer: waiting for it");
    presence.lost(error);
    if (containers.mayRun) link.loseSight();
    await clock.sleep(Math.min(limits.engineRestMs, limits.engineAwayMs), signal);
    const isBack = (await settledWithin(presence.back(signal), limits.engineAwayMs, clock)) && !presence.isAway;
    if (!isBack || signal.aborted) return "give-up";
    return await this.#undo(containers.primary);
  }

  /** What was made and not started goes. One whose start was asked for may run: then it is followed, not made again. */
  async #undo(id: string | undefined): Promise<Next> {
    const { context, containers, link, signal, follow } = this.#parts;
    const state = id === undefined ? undefined : await context.engine.inspect(id, signal);
    if (id !== undefined && containers.mayRun && link.isTold && state?.phase !== "created") {
      if (state?.running !== true) return "give-up";
      follow(id);
      return "follow";
    }
    const session = link.takeBack();
    await session?.close();
    await containers.removeAll();
    containers.forgetPrimary();
    return "again";
  }

  async #startOnce(): Promise<void> {
    const { claim, context, lane, link, signal } = this.#parts;
    const { task, resourceClass, token } = claim;
    const spun = await spinUp(task, context, { lane, resourceClass, token, signal });
    const hasServices = spun.images.length > 1;
    const waited = !hasServices && (await this.#startWaiting(spun));
    if (!waited) await this.#startPrimary(spun, { handOver: !hasServices });
    if (hasServices) {
      await this.#startServices(spun);
      link.handOver(spun.work);
    }
    lane.stepEnded(spinUpStep, { kind: "succeeded" });
    if (!hasServices) context.pool.expect(spun.container, spun.primary);
  }

  /** In a container that waits for a task of this shape. False where there is none that takes this one over at once. */
  async #startWaiting(spun: SpunUp): Promise<boolean> {
    const { claim, context, containers, link, emit } = this.#parts;
    const member = context.pool.take(spun.primary, this.#deadlineMs());
    const adopting = member && containers.adopt(member);
    context.pool.yieldMemory();
    const waiting = await adopting;
    const subject = handOverSubject(member?.name ?? "", { task: claim.task.id, attempt: claim.task.attempt });
    if (waiting) await this.#offer(waiting, { work: spun.work, proof: context.api.prove(subject) });
    if (!link.begun) emit("miss");
    return link.begun;
  }

  async #offer({ id, attachment, nonce, words }: Waiting, told: { work: Work; proof: string }): Promise<void> {
    const { context, link, containers, lane, alongside, emit, follow } = this.#parts;
    const beganAt = context.clock.monotonic();
    const session = link.open(attachment, { nonce, opening: "greeted" }, { onTrial: true });
    if ((await offerTask({ id, session, link, ...told }, context)) === "refused") {
      link.takeBack();
      alongside(containers.discardPrimary());
      alongside(session.close());
      return;
    }
    const tookMs = Math.round(context.clock.monotonic() - beganAt);
    emit("hit");
    this.#sayNetwork(words);
    lane.line(spinUpStep, `Container ${shortId(id)} was waiting, handed over in ${tookMs} ms`);
    follow(id);
  }

  async #startPrimary(spun: SpunUp, options: { handOver: boolean }): Promise<void> {
    const { context, containers, link, lane, emit, follow } = this.#parts;
    const beganAt = context.clock.monotonic();
    const id = await containers.startPrimary(spun.primary, {
      untilMs: this.#deadlineMs(),
      onNetwork: (words) => this.#sayNetwork(words),
      onAttached: (attachment) => {
        link.open(attachment, { nonce: context.randomBytes(16), opening: "first" });
        if (options.handOver) link.handOver(spun.work);
      },
    });
    emit("started");
    const tookMs = Math.round(context.clock.monotonic() - beganAt);
    lane.line(spinUpStep, `Container ${shortId(id)} started in ${tookMs} ms`);
    follow(id);
  }

  #deadlineMs(): number {
    const { claim, context } = this.#parts;
    return context.clock.now() + lifeMs(claim.task, context.limits.deadlineSlackMs);
  }

  #sayNetwork(words: readonly string[]): void {
    for (const line of words) this.#parts.lane.line(spinUpStep, line);
  }

  async #startServices(spun: SpunUp): Promise<void> {
    const { claim, context, containers, services, alongside } = this.#parts;
    const { task, resourceClass } = claim;
    const joins = containers.primary ?? "";
    await Promise.all(
      task.container.images.slice(1).map(async (spec, at) => {
        const index = at + 1;
        const image = spun.images[index];
        if (!image) return;
        const plan = servicePlan(task, context, { spec, image, agent: spun.agent, index, joins, resourceClass });
        const started = await containers.startService(plan);
        alongside(services.follow({ ...started, step: index, name: spec.image }));
      }),
    );
  }
}

/** A task is only given back when it surely did not begin. False where it may have. Never rejects. */
export async function surelyNotBegun({ containers, link, context }: RunParts): Promise<boolean> {
  const id = containers.primary;
  if (!containers.mayRun || id === undefined) return true;
  if (!link.session || !link.hasHeardAll) return false;
  return (await silence(id, link.session, context)) && !link.begun;
}
