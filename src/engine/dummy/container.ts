import { PassThrough, Readable, Writable } from "node:stream";
import { type Attachment, type ContainerPlan, EngineError, type Exit } from "../engine.ts";

/** What a program in a dummy container has: its side of the streams, and a signal that is its SIGKILL. */
export interface DummyProcess {
  plan: ContainerPlan;
  /** Open as long as the container runs, whoever attaches or leaves. */
  stdin: Readable;
  /** Waits for a slow reader; drops what is written while nobody is attached. */
  stdout: Writable;
  stderr: Writable;
  killed: AbortSignal;
  /** The kernel takes something for its memory. The exit will say so. */
  runOutOfMemory(): void;
}

/** Plays the container's process. Resolves with its exit code. */
export type DummyProgram = (process: DummyProcess) => Promise<number>;

type Phase = "created" | "running" | "paused" | "ended";

export class DummyContainer {
  readonly id: string;
  readonly plan: ContainerPlan;
  phase: Phase = "created";
  everAttached = false;
  readonly ended: Promise<Exit>;
  readonly #settle: (exit: Exit) => void;
  readonly #reject: (error: Error) => void;
  readonly #kill = new AbortController();
  readonly #stdin = new PassThrough();
  readonly #attachments = new Set<{ stdout: PassThrough; stderr: PassThrough }>();
  #outOfMemory = false;

  constructor(id: string, plan: ContainerPlan) {
    this.id = id;
    this.plan = plan;
    const { promise, resolve, reject } = Promise.withResolvers<Exit>();
    this.ended = promise;
    this.ended.catch(() => {});
    this.#settle = resolve;
    this.#reject = reject;
    this.#stdin.on("error", () => {});
  }

  /** Whether its process exists, be it paused. */
  get isRunning(): boolean {
    return this.phase === "running" || this.phase === "paused";
  }

  attach(): Attachment {
    this.everAttached = true;
    const sides = { stdout: new PassThrough(), stderr: new PassThrough() };
    for (const stream of [sides.stdout, sides.stderr]) stream.on("error", () => {});
    if (this.phase === "ended") for (const stream of [sides.stdout, sides.stderr]) stream.end();
    else this.#attachments.add(sides);
    const stdin = new Writable({ write: (chunk, _encoding, done) => this.#feed(chunk, done) });
    stdin.on("error", () => {});
    return { stdin, ...sides, close: () => this.#detach(sides, stdin) };
  }

  /** Breaks every attachment as an engine does that goes away. */
  breakAttachments(error: EngineError): void {
    for (const { stdout, stderr } of this.#attachments) {
      stdout.destroy(error);
      stderr.destroy(error);
    }
    this.#attachments.clear();
  }

  start(program: DummyProgram): void {
    this.phase = "running";
    const process: DummyProcess = {
      plan: this.plan,
      stdin: this.#stdin,
      stdout: this.#output("stdout"),
      stderr: this.#output("stderr"),
      killed: this.#kill.signal,
      runOutOfMemory: () => {
        this.#outOfMemory = true;
      },
    };
    const killed = Promise.withResolvers<number>();
    this.#kill.signal.addEventListener("abort", () => killed.resolve(137), { once: true });
    void Promise.race([program(process), killed.promise]).then(
      (code) => this.#end({ code, outOfMemory: this.#outOfMemory }),
      (error: unknown) =>
        this.#end({ code: 1, outOfMemory: this.#outOfMemory, error: `the program threw: ${String(error)}` }),
    );
  }

  kill(): void {
    if (this.isRunning) this.#kill.abort(new Error("SIGKILL"));
  }

  remove(): void {
    this.#kill.abort(new Error("SIGKILL"));
    this.#end({ code: 137, outOfMemory: false });
    this.#reject(new EngineError("not-found", `container ${this.id} was removed`));
  }

  #end(exit: Exit): void {
    if (this.phase === "ended") return;
    this.phase = "ended";
    for (const { stdout, stderr } of this.#attachments) {
      stdout.end();
      stderr.end();
    }
    this.#attachments.clear();
    this.#stdin.destroy();
    this.#settle(exit);
  }

  #feed(chunk: Buffer, done: (error?: Error | null) => void): void {
    if (this.phase === "ended") done();
    else if (this.#stdin.write(chunk)) done();
    else {
      const proceed = (): void => {
        this.#stdin.off("drain", proceed).off("close", proceed);
        done();
      };
      this.#stdin.on("drain", proceed).on("close", proceed);
    }
  }

  #output(name: "stdout" | "stderr"): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        void this.#broadcast(name, chunk, done);
      },
    });
  }

  async #broadcast(name: "stdout" | "stderr", chunk: Buffer, done: () => void): Promise<void> {
    await Promise.all([...this.#attachments].map((sides) => writeTo(sides[name], chunk)));
    done();
  }

  #detach(sides: { stdout: PassThrough; stderr: PassThrough }, stdin: Writable): void {
    this.#attachments.delete(sides);
    for (const stream of [sides.stdout, sides.stderr, stdin]) stream.destroy();
  }
}

async function writeTo(stream: PassThrough, chunk: Buffer): Promise<void> {
  if (stream.destroyed || stream.write(chunk)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once("drain", resolve).once("close", resolve);
  await promise;
  stream.off("drain", resolve).off("close", resolve);
}
