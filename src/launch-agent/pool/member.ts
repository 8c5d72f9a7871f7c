import type { Attachment } from "../../engine/engine.ts";
import { syncMarker } from "../../protocol/sync.ts";
import { label } from "../plan/labels.ts";
import { type Entered, enterSandbox, type SandboxedGround } from "../sandbox/enter.ts";
import type { OpenPlan } from "../sandbox/need.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { removeContainers } from "../task/clean-up.ts";
import { orAbort } from "../task/or-abort.ts";
import { greeted } from "./greeting.ts";

/** A container whose task agent has greeted, and waits for its task. */
export interface Waiting {
  id: string;
  attachment: Attachment;
  /** Of the marker that it was greeted with. */
  nonce: Uint8Array;
  /** What the network lets through, for people. */
  words: string[];
}

export interface MemberOptions {
  plan: OpenPlan;
  /** `when-idle`: not before nothing else is being started. */
  begin: "now" | "when-idle";
  /** It will not wait any more, through no doing of ours. */
  onDeath: (member: Member) => void;
}

/** One container that is started before there is a task for it. It is handed out once, or removed. */
export class Member {
  readonly plan: OpenPlan;
  readonly shape: string;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** By the monotonic clock. */
  readonly bornAtMs: number;
  /** Rejects when it cannot be had. */
  readonly ready: Promise<Waiting>;
  /** When the engine has been told to start it, or it is known that it will not be. */
  readonly sent: Promise<void>;
  readonly #ground: SandboxedGround;
  readonly #options: MemberOptions;
  /** Ends what goes on while it is the pool's. */
  readonly #left = new AbortController();
  readonly #dropped = new AbortController();
  readonly #sent = Promise.withResolvers<void>();
  #attachment: Attachment | undefined;
  #sandbox: Sandbox | undefined;
  #state: "queued" | "starting" | "waiting" = "queued";

  constructor(ground: SandboxedGround, options: MemberOptions) {
    this.#ground = ground;
    this.#options = options;
    this.plan = options.plan;
    this.shape = options.plan.labels[label.shape] ?? "";
    this.deadlineMs = Number(options.plan.labels[label.deadline]);
    this.bornAtMs = ground.clock.monotonic();
    this.sent = this.#sent.promise;
    this.ready = this.#start().finally(() => this.#sent.resolve());
    this.ready.catch(() => {
      if (!this.#left.signal.aborted) options.onDeath(this);
    });
  }

  get name(): string {
    return this.plan.name;
  }

  /** `queued`: nothing of it exists yet. */
  get state(): "queued" | "starting" | "waiting" {
    return this.#state;
  }

  /** Whose network it is in, once it is `starting`. Whoever gets the container gets it too, to give it back. */
  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  /** It is somebody else's from now on, with all that has to be cleaned up. */
  leave(): void {
    this.#left.abort(new Error("handed out"));
  }

  /** Removes it, whatever it is at. Never rejects. */
  async drop(): Promise<void> {
    this.#left.abort(new Error("dropped"));
    this.#dropped.abort(new Error("dropped"));
    // An engine that does not answer a create must not hold whoever waits for it.
    this.#sent.resolve();
    this.#attachment?.close();
    const { sandboxes, leftovers } = this.#ground;
    await removeContainers([this.name], this.#ground);
    if (this.#sandbox) sandboxes.giveBack(this.#sandbox, { doubtful: leftovers.has(this.name) });
  }

  async #start(): Promise<Waiting> {
    const { gate, clock, limits } = this.#ground;
    const entered = await enterSandbox(this.plan, this.#ground, {
      untilMs: this.deadlineMs,
      signal: this.#dropped.signal,
    });
    this.#sandbox = entered.sandbox;
    const start = async () => await this.#startInPlace(entered);
    const waiting = await (this.#options.begin === "now" ? gate.run(start) : gate.runWhenIdle(start));
    void this.#watch(waiting.id);
    const late = new AbortController();
    const timer = new AbortController();
    clock.sleep(limits.greetMs, timer.signal).then(
      () => late.abort(new Error("the task agent did not greet in time")),
      () => undefined,
    );
    try {
      const signal = AbortSignal.any([this.#dropped.signal, late.signal]);
      await orAbort(greeted(waiting.attachment.stdout, waiting.nonce), signal);
    } finally {
      timer.abort();
    }
    this.#state = "waiting";
    return waiting;
  }

  async #startInPlace({ plan, words }: Entered): Promise<Waiting> {
    const { engine, randomBytes } = this.#ground;
    const { signal } = this.#dropped;
    signal.throwIfAborted();
    this.#state = "starting";
    // Not under a signal: a create that is cut off may still make the container. Who drops it removes it by its name.
    const id = await engine.create(plan, new AbortController().signal);
    const attachment = await engine.attach(id, signal);
    this.#attachment = attachment;
    const nonce = randomBytes(16);
    attachment.stdin.on("error", () => {});
    attachment.stdout.on("error", () => {});
    attachment.stderr.on("error", () => {});
    attachment.stdin.write(syncMarker(nonce));
    const started = engine.start(id, signal);
    this.#sent.resolve();
    await started;
    return { id, attachment, nonce, words };
  }

  /** One that ends by itself, or is taken away by somebody, is no use. */
  async #watch(id: string): Promise<void> {
    const { engine } = this.#ground;
    await engine.wait(id, this.#left.signal).catch(() => undefined);
    if (!this.#left.signal.aborted) this.#options.onDeath(this);
  }
}
