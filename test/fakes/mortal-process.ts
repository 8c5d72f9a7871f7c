import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { DummyEngine } from "../../src/engine/dummy/index.ts";
import type { Attachment, Engine } from "../../src/engine/engine.ts";

export interface Death {
  /** At which of its engine calls, from 1, or the first of which name. */
  atCall: number | (typeof engineCalls)[number];
  /** `before` the engine gets it, or `after` it was done and before the answer is heard. */
  when: "before" | "after";
}

const engineCalls = [
  "info",
  "image",
  "account",
  "pull",
  "ensureSharedVolume",
  "create",
  "attach",
  "start",
  "wait",
  "inspect",
  "kill",
  "remove",
  "list",
  "removeObject",
] as const;

/**
 * What a launch agent has of the world, so that it can be taken away from it in one moment, as kill -9 does: engine calls are
 * never answered any more, attachments end, connections to the control plane break.
 */
export class MortalProcess implements AsyncDisposable {
  readonly engine: Engine;
  /** Of the engine, each with what it is about. */
  readonly calls: { name: string; about: unknown }[] = [];
  readonly #died = Promise.withResolvers<void>();
  readonly #death: Death | undefined;
  readonly #attachments = new Set<Attachment>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #isDead = false;

  constructor(engine: DummyEngine, death?: Death) {
    this.#death = death;
    const calls = Object.fromEntries(
      engineCalls.map((name) => [name, (...args: unknown[]) => this.#call(engine, name, args)]),
    );
    this.engine = { ...engine, ...(calls as Partial<Engine>) };
  }

  /** Resolves when it has died. */
  get died(): Promise<void> {
    return this.#died.promise;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** The control plane's address, as this process has it. */
  async url(target: string): Promise<string> {
    const { port } = new URL(target);
    this.#server = createServer((near) => {
      const far = connect(Number(port), "127.0.0.1");
      for (const socket of [near, far]) this.#sockets.add(socket.on("error", () => {}));
      near.pipe(far).pipe(near);
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
      if (this.#isDead) near.destroy();
    });
    const server = this.#server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  die(): void {
    this.#isDead = true;
    for (const attachment of this.#attachments) attachment.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#died.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die();
    const server = this.#server;
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async #call(engine: Engine, name: (typeof engineCalls)[number], args: unknown[]): Promise<unknown> {
    this.calls.push({ name, about: args[0] });
    const atCall = this.#death?.atCall;
    const isLast = typeof atCall === "string" ? atCall === name && !this.#isDead : this.calls.length === atCall;
    if (isLast && this.#death?.when === "before") this.die();
    if (this.#isDead) return await never();
    const result = await (engine[name] as (...args: unknown[]) => Promise<unknown>)(...args);
    if (name === "attach") this.#attachments.add(result as Attachment);
    if (isLast) this.die();
    return this.#isDead ? await never() : result;
  }
}

async function never(): Promise<never> {
  return await new Promise<never>(() => {});
}
