import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describeAddress } from "../../../src/engine/docker/index.ts";
import { addressUnderTest } from "../../docker/engine-under-test.ts";
import { bareEnvironment } from "../../fakes/bare-environment.ts";

const main = join(import.meta.dirname, "../../../src/launch-agent/main.ts");
/** Longer than anything takes on a machine that has much else to do, and shorter than a test's own limit, which says nothing. */
const patienceMs = 150_000;
const healthLine = /"address":"127\.0\.0\.1:(\d+)"/;

/** A launch agent as its users run it: a process of its own, with nothing but these settings. */
export class AgentProcess implements AsyncDisposable {
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcessWithoutNullStreams;
  #output = "";

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (data: string) => {
        this.#output += data;
      });
    this.exited = once(child, "close").then(([code]) => code as number | null);
  }

  static async start(environment: Record<string, string>, args: string[] = []): Promise<AgentProcess> {
    const env = {
      ...bareEnvironment(),
      DOCKER_HOST: describeAddress(await addressUnderTest()),
      COFFERDAM_HEALTH_ADDRESS: "127.0.0.1:0",
      COFFERDAM_POOL_PER_SHAPE: "0",
      COFFERDAM_SANDBOX: "off",
      ...environment,
    };
    return new AgentProcess(spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], { env }));
  }

  /** All that it wrote so far. */
  get output(): string {
    return this.#output;
  }

  get lines(): Record<string, unknown>[] {
    const lines = this.#output.split("\n").filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Resolves when it wrote this. */
  async said(words: string): Promise<void> {
    const signal = AbortSignal.timeout(patienceMs);
    const { stdout, stderr } = this.#child;
    while (!this.#output.includes(words)) {
      if (this.#child.exitCode !== null || signal.aborted)
        throw new Error(`it ${signal.aborted ? "goes on" : "ended"} without saying "${words}":\n${this.#output}`);
      const written = [stdout, stderr].map(async (stream) => await once(stream, "data", { signal }));
      await Promise.race([...written, this.exited]).catch(() => undefined);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async health(path: string): Promise<{ status: number | undefined; body: string }> {
    await this.said('"address"');
    const port = healthLine.exec(this.#output)?.[1];
    return await new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path }, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      }).once("error", reject);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      for (const signal of ["SIGTERM", "SIGTERM", "SIGTERM"] as const) this.#child.kill(signal);
      const late = setTimeout(() => this.#child.kill("SIGKILL"), 20_000);
      await this.exited;
      clearTimeout(late);
    }
  }
}
