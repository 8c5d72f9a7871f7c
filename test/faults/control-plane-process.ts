import { fileURLToPath } from "node:url";
import type { z } from "zod";
import type { ClassSettings } from "../../src/protocol/resource-class.ts";
import type { WatchEvent } from "../../src/protocol/watch.ts";
import { Child, until } from "./child.ts";

export interface PlaneSettings {
  /** Holds its data. */
  directory: string;
  /** 0: any. */
  port: number;
  /** Default: the product's own. */
  leaseMs?: number;
  /** Serves HTTPS with these; read again at SIGHUP. */
  tls?: { certFile: string; keyFile: string };
  classSettings: z.input<typeof ClassSettings>;
}

/** An event as it is told, output without its bytes. */
export type Seen =
  | Exclude<WatchEvent, { type: "output" }>
  | (Omit<WatchEvent & { type: "output" }, "data"> & { bytes: number });

export interface Calls {
  /** Makes a class; answers a token of it. */
  prepare(argument: { resourceClass: string }): Promise<string>;
  /** Starts a pipeline; answers its id. */
  start(argument: { config: string; secret: string }): Promise<string>;
  cancel(argument: { pipeline: string }): Promise<void>;
  /** Sets its clock, by so much. */
  setClock(argument: { byMs: number }): Promise<void>;
  /** All that has happened in it, so far. */
  events(argument: { pipeline: string }): Promise<Seen[]>;
}

const main = fileURLToPath(new URL("control-plane-main.ts", import.meta.url));

/** A control plane that is killed and started again over the same data, at the same port. */
export class ControlPlaneProcess {
  readonly #settings: PlaneSettings;
  readonly children: Child[] = [];
  #waiting = new Map<number, (answer: { result?: unknown; error?: string }) => void>();
  #lastId = 0;

  constructor(settings: Omit<PlaneSettings, "port">) {
    this.#settings = { ...settings, port: 0 };
  }

  get port(): number {
    return this.#settings.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get #child(): Child {
    const child = this.children.at(-1);
    if (!child) throw new Error("the control plane was not started");
    return child;
  }

  async start(): Promise<void> {
    const child = new Child({ args: [main, JSON.stringify(this.#settings)], env: {}, ipc: true });
    this.children.push(child);
    child.process.on("message", (message: { id: number; result?: unknown; error?: string }) => {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    });
    void child.exit.then(() => this.#dropCalls());
    const [, port] = await child.says(/listens on https?:\/\/127\.0\.0\.1:(\d+)/);
    this.#settings.port = Number(port);
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  async stop(): Promise<void> {
    if (this.#child.ended) return;
    this.#child.signal("SIGTERM");
    const { code } = await this.#child.ends(20_000);
    if (code !== 0) throw new Error(`the control plane ended with ${code}: ${this.#child.said.slice(-2_000)}`);
  }

  async call<C extends keyof Calls>(
    call: C,
    argument: Parameters<Calls[C]>[0],
  ): Promise<Awaited<ReturnType<Calls[C]>>> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<{ result?: unknown; error?: string }>();
    this.#waiting.set(id, resolve);
    if (!this.#child.process.connected) throw new ControlPlaneDown();
    this.#child.process.send({ id, call, argument }, (error) => error && resolve({ error: "gone" }));
    const answer = await promise;
    if (answer.error === "gone") throw new ControlPlaneDown();
    if (answer.error !== undefined) throw new Error(`${call}: ${answer.error}`);
    return answer.result as Awaited<ReturnType<Calls[C]>>;
  }

  /** Waits until what has happened in a pipeline is as wanted. A control plane that is away meanwhile only costs time. */
  async until(options: {
    pipeline: string;
    what: string;
    withinMs?: number;
    holds: (events: Seen[]) => boolean;
  }): Promise<Seen[]> {
    return await until(options.what, options.withinMs ?? 120_000, async () => {
      try {
        const events = await this.call("events", { pipeline: options.pipeline });
        return options.holds(events) ? events : undefined;
      } catch (error) {
        if (error instanceof ControlPlaneDown) return undefined;
        throw error;
      }
    });
  }

  #dropCalls(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const resolve of waiting.values()) resolve({ error: "gone" });
  }
}

class ControlPlaneDown extends Error {
  override name = "ControlPlaneDown";
}
