import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { promisify } from "node:util";
import Docker from "dockerode";
import { until } from "./child.ts";

const run = promisify(execFile);
const script = "scripts/setup-fault-engine.sh";

/** A call that makes the container of a task. */
export const createOfTask = /\/containers\/create\?name=cofferdam-[0-9a-f]{8}-[0-9a-f-]{27}-/;

/** `shared`: of faults side by side, which leave it alone. `killed`: of those that are done to the engine itself, one by one. */
export type EngineName = "shared" | "killed";

/** A private engine that faults are done on. */
export class FaultEngine {
  readonly socketPath: string;
  /** Not through src/engine: a check must not share the faults of what it checks. */
  readonly docker: Docker;
  readonly #name: EngineName | undefined;

  /** Without a name its daemons cannot be started again. */
  constructor(socketPath: string, name?: EngineName) {
    this.#name = name;
    this.socketPath = socketPath;
    this.docker = new Docker({ socketPath });
  }

  /** kill -9. The containers are the shims' children, and go on. */
  async killDaemon(name: "dockerd" | "containerd"): Promise<void> {
    const pid = await this.pid(name);
    process.kill(pid, "SIGKILL");
    await until(`${name} is dead`, 10_000, async () => ((await isAlive(pid)) ? undefined : true));
  }

  async startDaemon(name: "dockerd" | "containerd", flags: string[] = []): Promise<void> {
    if (this.#name === undefined) throw new Error(`nobody knows how to start ${name} of ${this.socketPath} again`);
    await run("sh", [script, this.#name, name, ...flags]);
  }

  async pid(name: "dockerd" | "containerd"): Promise<number> {
    const file = new URL(`${name}.pid`, `file://${this.socketPath}`);
    return Number((await readFile(file, "utf8")).trim());
  }

  /** The containers of agents, by name; of one where that is given. */
  async containersOf(agent?: string): Promise<Docker.ContainerInfo[]> {
    const list = await this.docker.listContainers({ all: true });
    return list.filter(({ Labels }) => isOf(Labels, agent));
  }

  /** The containers in which tasks of an agent are, or will be. */
  async taskContainersOf(agent: string): Promise<Docker.ContainerInfo[]> {
    const containers = await this.containersOf(agent);
    return containers.filter(({ Labels }) => Labels["dev.cofferdam.role"] !== "sandbox");
  }

  /** What is there of these agents, as names that tell a person what it is. */
  async leftOf(agents: readonly string[]): Promise<string[]> {
    const [containers, { Volumes }, networks] = await Promise.all([
      this.docker.listContainers({ all: true }),
      this.docker.listVolumes(),
      this.docker.listNetworks(),
    ]);
    // The typings promise a list; an engine without volumes answers null.
    const volumes: typeof Volumes | null = Volumes;
    const anyOf = (labels: Record<string, string> | null | undefined): boolean =>
      agents.some((agent) => isOf(labels, agent));
    return [
      ...containers.filter(({ Labels }) => anyOf(Labels)).map(({ Names }) => `container ${Names.join(" ")}`),
      ...(volumes ?? []).filter(({ Labels }) => anyOf(Labels)).map(({ Name }) => `volume ${Name}`),
      ...networks.filter(({ Labels }) => anyOf(Labels)).map(({ Name }) => `network ${Name}`),
    ];
  }

  async removeAllOf(agents: readonly string[]): Promise<void> {
    for (const agent of agents) {
      for (const { Id } of await this.containersOf(agent)) {
        await this.docker
          .getContainer(Id)
          .remove({ force: true, v: true })
          .catch(() => undefined);
      }
    }
  }
}

function isOf(labels: Record<string, string> | null | undefined, agent: string | undefined): boolean {
  const name = labels?.["dev.cofferdam.agent"];
  return labels?.["dev.cofferdam.role"] !== "shared" && name !== undefined && (agent ?? name) === name;
}

/** A process that nobody has fetched yet is dead all the same. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat !== undefined && !/\) Z /.test(stat);
}

/** Starts it, and keeps others from it until it is stopped. Throws when another run has it. */
export async function startFaultEngine(name: EngineName): Promise<{ engine: FaultEngine; stop: () => Promise<void> }> {
  // The kernel forgets an abstract socket with its process, however that ends.
  const lock = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  lock.once("error", () =>
    reject(new Error("another run of the fault tests has its private engines: wait for its end, or stop it")),
  );
  lock.listen(`\0cofferdam-faults-${name}`, resolve);
  await promise;
  lock.unref();
  const { stdout } = await run("sh", [script, name, "start"]);
  const engine = new FaultEngine(stdout.trim().replace(/^unix:\/\//, ""), name);
  return {
    engine,
    stop: async () => {
      await run("sh", [script, name, "stop"]);
      lock.close();
    },
  };
}
