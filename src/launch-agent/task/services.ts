import type { Readable } from "node:stream";
import type { Attachment, Exit } from "../../engine/engine.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { Ground } from "./ground.ts";
import { orAbort, settledWithin } from "./or-abort.ts";

/** What a service may say; more is dropped, and that is said. */
const mostOutputBytes = 16 * 1024 * 1024;

export interface FollowedService {
  /** Its step in the launch lane. */
  step: number;
  name: string;
  id: string;
  attachment: Attachment | Promise<Attachment>;
}

/** The service containers of one task: what each says is a step of its own, until it ends or the task does. */
export class TaskServices {
  readonly #ground: Ground;
  readonly #lane: LaunchLane;
  /** Nothing more is waited for. */
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #followed: { id: string; done: Promise<void> }[] = [];
  #ended: Promise<void> | undefined;

  constructor(ground: Ground, options: { lane: LaunchLane; signal: AbortSignal }) {
    this.#ground = ground;
    this.#lane = options.lane;
    this.#signal = AbortSignal.any([options.signal, this.#over.signal]);
  }

  /** Never rejects. */
  async follow(service: FollowedService): Promise<void> {
    const done = this.#follow(service);
    this.#followed.push({ id: service.id, done });
    await done;
  }

  /** Has them end, as their task does. Resolves when all that they said is stored, or this takes too long; never rejects. */
  async end(): Promise<void> {
    this.#ended ??= this.#followed.length > 0 ? this.#endAll() : Promise.resolve();
    await this.#ended;
  }

  async #endAll(): Promise<void> {
    const { engine, clock, limits } = this.#ground;
    const unstoppable = new AbortController().signal;
    const kills = this.#followed.map(async ({ id, done }) => {
      await engine.kill(id, unstoppable);
      await done;
    });
    await settledWithin(Promise.allSettled(kills), limits.lastWordsMs, clock);
    this.#over.abort(new Error("the task is over"));
    const told = Promise.all(this.#followed.map(({ done }) => done)).then(async () => await this.#lane.flushed());
    await settledWithin(told, limits.lastWordsMs, clock);
  }

  async #follow({ step, name, id, attachment }: FollowedService): Promise<void> {
    const lane = this.#lane;
    lane.stepStarted(step, `Container ${name}`, "service");
    const copied = this.#copyAll(step, attachment);
    const exit = await this.#exitOf(id);
    await copied;
    if (!exit || this.#ended) lane.stepEnded(step, { kind: "canceled" });
    else if (exit.code === 0) lane.stepEnded(step, { kind: "succeeded" });
    else lane.stepEnded(step, { kind: "exited", code: exit.code });
  }

  /** Until it has said all, or the signal. Never rejects. */
  async #copyAll(step: number, attachment: FollowedService["attachment"]): Promise<void> {
    try {
      const attached = await orAbort(Promise.resolve(attachment), this.#signal);
      const close = () => attached.close();
      // Not ended: Docker closes both outputs of an attachment whose input has ended.
      attached.stdin.on("error", () => {});
      const budget = { bytes: mostOutputBytes };
      this.#signal.addEventListener("abort", close, { once: true });
      await Promise.all([
        this.#copy({ step, stream: "stdout" }, attached.stdout, budget),
        this.#copy({ step, stream: "stderr" }, attached.stderr, budget),
      ]);
      this.#signal.removeEventListener("abort", close);
      close();
    } catch {
      // No attachment, or one that comes when nobody needs it any more: what became of the container is told by `wait`.
      void Promise.resolve(attachment).then(
        (attached) => attached.close(),
        () => {},
      );
    }
  }

  /** Undefined when it was waited for long enough. */
  async #exitOf(id: string): Promise<Exit | undefined> {
    try {
      return await this.#ground.engine.wait(id, this.#signal);
    } catch {
      return undefined;
    }
  }

  async #copy(
    { step, stream }: { step: number; stream: "stdout" | "stderr" },
    from: Readable,
    budget: { bytes: number },
  ): Promise<void> {
    const lane = this.#lane;
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        if (budget.bytes <= 0) continue;
        const kept = chunk.subarray(0, budget.bytes);
        budget.bytes -= kept.byteLength;
        lane.output(step, stream, kept);
        if (budget.bytes === 0) lane.line(step, `\n(output beyond ${mostOutputBytes} bytes is not shown)`);
        await lane.full();
      }
    } catch {
      // The attachment broke: that the container ended, or the engine did, is told by `wait`.
    }
  }
}
