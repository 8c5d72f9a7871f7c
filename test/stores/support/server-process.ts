import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { bareEnvironment } from "../../fakes/bare-environment.ts";
import { FakeAgent } from "../../fakes/fake-agent.ts";

const main = new URL("../../../src/control-plane/main.ts", import.meta.url).pathname;

/** A control plane of its own process, that a test may kill. */
export class ServerProcess implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly agent: FakeAgent;

  private constructor(process: ChildProcess, agent: FakeAgent) {
    this.process = process;
    this.agent = agent;
  }

  /** `before` are words that start a command in another world (`unshare …`). Rejects with what it said when it does not listen. */
  static async start(environment: Record<string, string>, before: readonly string[] = []): Promise<ServerProcess> {
    const [command, ...args] = [...before, process.execPath, main];
    const env = { ...bareEnvironment(), COFFERDAM_PORT: "0", COFFERDAM_LOG_LEVEL: "silent", ...environment };
    const server = spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    for await (const chunk of server.stderr) {
      said += String(chunk);
      const url = /listens on (http:\S+)/.exec(said)?.[1];
      if (url !== undefined) return new ServerProcess(server, new FakeAgent({ url }));
    }
    throw new Error(said);
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.agent[Symbol.asyncDispose]();
  }
}
