import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { bareEnvironment } from "../fakes/bare-environment.ts";

export interface ChildOptions {
  args: string[];
  env: Record<string, string>;
  /** Opens a channel for messages. */
  ipc?: boolean;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One process of ours: what it said, and how it ended. */
export class Child {
  readonly process: ChildProcess;
  readonly exit: Promise<Exit>;
  #said = "";
  #ended = false;

  constructor({ args, env, ipc = false }: ChildOptions) {
    this.process = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], {
      env: { ...bareEnvironment(), ...env },
      stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
    });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    this.exit = new Promise((resolve, reject) => {
      this.process.once("error", reject);
      this.process.once("close", (code, signal) => {
        this.#said += `(ended with ${signal ?? code})\n`;
        this.#ended = true;
        resolve({ code, signal });
      });
    });
    this.exit.catch(() => {});
  }

  /** Both streams, so far. */
  get said(): string {
    return this.#said;
  }

  get ended(): boolean {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.exit;
  }

  /** The first match in what it says. Throws when it ends, or the time is up, without one. */
  async says(pattern: RegExp, withinMs = 60_000): Promise<RegExpExecArray> {
    return await until(`a process says ${String(pattern)}`, withinMs, () => {
      const match = pattern.exec(this.#said);
      if (!match && this.#ended) throw new Error(`ended without ${String(pattern)}: ${this.#said.slice(-2_000)}`);
      return match ?? undefined;
    });
  }

  /** Throws where it does not end by itself in time. */
  async ends(withinMs: number): Promise<Exit> {
    const late = Symbol("late");
    const waited = new AbortController();
    const result = await Promise.race([this.exit, sleep(withinMs, late, { signal: waited.signal }).catch(() => late)]);
    waited.abort();
    if (typeof result === "symbol") throw new Error(`a process did not end within ${withinMs / 1000} s`);
    return result;
  }
}

/** Asks again and again until there is an answer. */
export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > giveUpAt) throw new Error(`not within ${withinMs / 1000} s: ${what}`);
    await sleep(25);
  }
}
