import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TaskStatus } from "../../src/protocol/records.ts";
import { FakeAgent } from "../fakes/fake-agent.ts";
import { type FaultProxy, faultProxy } from "../fakes/fault-proxy.ts";
import { Child, until } from "./child.ts";
import { ControlPlaneProcess, type PlaneSettings, type Seen } from "./control-plane-process.ts";
import type { FaultEngine } from "./engine.ts";
import { type Job, jobClass } from "./jobs.ts";
import { inspectStore } from "./verdict.ts";

/** How a job has to end. */
export interface Expected {
  /** Default: success. */
  status: TaskStatus;
  /** How many it may take. Default: 1. */
  attempts: readonly number[];
  /** `prefix`: what is stored is a beginning of what was to be written. Default: `whole`. */
  output: "whole" | "prefix";
}

export interface Running extends Expected {
  pipeline: string;
  job: Job;
}

export interface BeginOptions {
  leaseMs?: number;
  classSettings?: PlaneSettings["classSettings"];
  tls?: PlaneSettings["tls"];
  /** The control plane's disk is so large. Default: as the machine's. */
  dataBytes?: number;
}

export interface WorldOptions {
  engine: FaultEngine;
  /** 0 ≤ n < 1. */
  random: () => number;
  /** Of the fault, for names. */
  id: string;
}

const run = promisify(execFile);
const agentMain = fileURLToPath(new URL("../../src/launch-agent/main.ts", import.meta.url));
const secret = "a-secret-of-the-job-1f0c";
const gibibyte = 1024 ** 3;

/** One control plane, its agents, and what runs on them: real processes around a proxy that does harm when it is told to. */
export class World implements AsyncDisposable {
  readonly engine: FaultEngine;
  readonly random: () => number;
  readonly agents: Agent[] = [];
  readonly #id: string;
  readonly #running: Running[] = [];
  readonly #resources: AsyncDisposable[] = [];
  readonly #faultProxies: FaultProxy[] = [];
  #directory: string | undefined;
  #mounted: string | undefined;
  #plane: ControlPlaneProcess | undefined;
  #proxy: FaultProxy | undefined;
  #token: string | undefined;

  constructor(options: WorldOptions) {
    this.engine = options.engine;
    this.random = options.random;
    this.#id = options.id;
  }

  get plane(): ControlPlaneProcess {
    return begun(this.#plane);
  }

  /** Between the agents and the control plane. */
  get proxy(): FaultProxy {
    return begun(this.#proxy);
  }

  get token(): string {
    return begun(this.#token);
  }

  get directory(): string {
    return begun(this.#directory);
  }

  /** Starts the control plane, with a class and its token. */
  async begin(options: BeginOptions = {}): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), "cofferdam-fault-"));
    if (options.dataBytes !== undefined) await this.#mountData(options.dataBytes);
    // Engines within containers may not give more files than they have themselves.
    const limits = { memoryBytes: gibibyte / 4, cpus: 1, openFiles: 4096 };
    const { leaseMs, tls } = options;
    this.#plane = new ControlPlaneProcess({
      directory: join(this.directory, "data"),
      classSettings: { limits, ...options.classSettings },
      ...(leaseMs === undefined ? {} : { leaseMs }),
      ...(tls ? { tls } : {}),
    });
    await this.plane.start();
    const upstream = { host: "127.0.0.1", port: this.plane.port };
    this.#proxy = await faultProxy({ upstream, random: this.random });
    this.#keep(this.#proxy);
    this.#token = await this.plane.call("prepare", { resourceClass: jobClass });
  }

  async startAgent(options: AgentOptions = {}): Promise<Agent> {
    const name = options.name ?? `fault-${this.#id.toLowerCase()}-${this.agents.length}-${this.#salt()}`;
    const agent = new Agent(name, {
      CIRCLECI_RUNNER_API_URL: options.url ?? this.proxy.url,
      CIRCLECI_RUNNER_API_AUTH_TOKEN: this.token,
      CIRCLECI_RUNNER_NAME: name,
      CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: String(options.tasks ?? 2),
      // Several agents are on this machine.
      COFFERDAM_HEALTH_ADDRESS: "127.0.0.1:0",
      COFFERDAM_CPUS: "16",
      COFFERDAM_MEMORY_BYTES: String(8 * gibibyte),
      COFFERDAM_POOL_PER_SHAPE: String(options.pool ?? 0),
      DOCKER_HOST: `unix://${options.engineSocket ?? this.engine.socketPath}`,
      ...(options.logFile === undefined ? {} : { CIRCLECI_RUNNER_LOGGING_FILE: options.logFile }),
      ...options.env,
    });
    this.agents.push(agent);
    await agent.start();
    return agent;
  }

  /** A proxy in front of the engine. */
  async engineProxy(): Promise<FaultProxy & { socketPath: string }> {
    const socketPath = join(this.directory, `engine-${this.#resources.length}.sock`);
    const proxy = await faultProxy({
      upstream: { socketPath: this.engine.socketPath },
      listen: { socketPath },
      random: this.random,
    });
    this.#keep(proxy);
    return Object.assign(proxy, { socketPath });
  }

  #keep(proxy: FaultProxy): void {
    this.#faultProxies.push(proxy);
    this.own(proxy);
  }

  own(resource: AsyncDisposable): void {
    this.#resources.push(resource);
  }

  /** An agent that does nothing by itself, past the proxy. */
  fakeAgent(): FakeAgent {
    const agent = new FakeAgent({ url: this.plane.url });
    this.#resources.push(agent);
    return agent;
  }

  async start(job: Job, expected: Partial<Expected> = {}): Promise<Running> {
    const pipeline = await this.plane.call("start", { config: job.config, secret });
    const running = { status: "success", attempts: [1], output: "whole", ...expected, pipeline, job } as const;
    this.#running.push(running);
    return running;
  }

  /** Waits until what has happened is as wanted. */
  async until(running: Running, what: string, holds: (events: Seen[]) => boolean, withinMs = 120_000): Promise<Seen[]> {
    return await this.plane.until({ pipeline: running.pipeline, what, withinMs, holds });
  }

  /** Until the job itself has written something that is stored. */
  async untilOutput(running: Running): Promise<void> {
    await this.until(running, "output of the job is stored", (events) =>
      events.some((event) => event.type === "output" && event.step >= 100),
    );
  }

  async ended(running: Running, withinMs = 180_000): Promise<Seen[]> {
    const holds = (events: Seen[]): boolean => events.some(({ type }) => type === "pipeline-ended");
    return await this.until(running, "the pipeline has ended", holds, withinMs);
  }

  /** Stops everything, and holds what is left against what has to be. Throws what is wrong; returns evidence. */
  async finish(): Promise<string> {
    for (const running of this.#running) await this.ended(running);
    await Promise.all(this.agents.map((agent) => agent.stop()));
    await this.plane.stop();
    const { wrong, evidence } = await inspectStore(join(this.directory, "data"), this.#running);
    const names = this.agents.map(({ name }) => name);
    const left = await this.#left(names);
    wrong.push(...left.map((what) => `left behind: ${what}`), ...this.#leakedSecrets());
    if (wrong.length > 0) throw new Error(wrong.join("; "));
    return evidence;
  }

  /** What all processes said, for people who look for a reason. */
  async writeLogs(file: string): Promise<void> {
    const children = [
      ...this.agents.flatMap(({ name, children }) => children.map((child) => ({ name, child }))),
      ...(this.#plane?.children.map((child) => ({ name: "control plane", child })) ?? []),
    ];
    const parts = children.map(({ name, child }) => `== ${name}\n${child.said}\n`);
    for (const { calls } of this.#faultProxies) {
      const lines = calls.map(
        ({ call, atMs, status, lost }) => `${Math.round(atMs)} ${call} ${status ?? lost ?? "no answer"}`,
      );
      parts.push(`== calls through a proxy\n${lines.join("\n")}\n`);
    }
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, parts.join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.agents.flatMap((agent) => agent.children), ...(this.#plane?.children ?? [])];
    await Promise.all(children.filter(({ ended }) => !ended).map((child) => child.kill()));
    for (const proxy of this.#resources) await proxy[Symbol.asyncDispose]();
    await this.engine.removeAllOf(this.agents.map(({ name }) => name)).catch(() => undefined);
    await this.#unmountData();
    if (this.#directory) await rm(this.#directory, { recursive: true, force: true });
  }

  async #mountData(bytes: number): Promise<void> {
    const data = join(this.directory, "data");
    await mkdir(data);
    await run("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=700`, "tmpfs", data]);
    this.#mounted = data;
  }

  async #unmountData(): Promise<void> {
    if (this.#mounted) await run("umount", ["-l", this.#mounted]);
    this.#mounted = undefined;
  }

  /** Engines and dying processes take a moment to be done. */
  async #left(names: string[]): Promise<string[]> {
    let left: string[] = [];
    await until("nothing of the agents is left", 10_000, async () => {
      left = await this.engine.leftOf(names);
      return left.length === 0 ? true : undefined;
    }).catch((error: unknown) => {
      if (left.length === 0) throw error;
    });
    return left;
  }

  #leakedSecrets(): string[] {
    const said = [...this.agents.flatMap(({ children }) => children), ...this.plane.children].map(
      (child) => child.said,
    );
    return [secret, this.token].flatMap((word, index) =>
      said.some((text) => text.includes(word)) ? [`${index === 0 ? "the job's secret" : "the token"} is in a log`] : [],
    );
  }

  #salt(): string {
    return Math.floor(this.random() * 2 ** 32).toString(36);
  }
}

function begun<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("begin() first");
  return value;
}

export interface AgentOptions {
  /** Tasks at once. */
  tasks?: number;
  /** Containers that wait, a shape. */
  pool?: number;
  name?: string;
  /** Of the control plane; the proxy's by default. */
  url?: string;
  engineSocket?: string;
  /** Where its log goes, when not to whoever started it. */
  logFile?: string;
  env?: Record<string, string>;
}

/** A launch agent's process, and those that came after it under its name. */
export class Agent {
  readonly name: string;
  readonly children: Child[] = [];
  readonly #env: Record<string, string>;

  constructor(name: string, env: Record<string, string>) {
    this.name = name;
    this.#env = env;
  }

  get child(): Child {
    const child = this.children.at(-1);
    if (!child) throw new Error("the agent was not started");
    return child;
  }

  async start(): Promise<void> {
    const child = new Child({ args: [agentMain], env: this.#env });
    this.children.push(child);
    const logFile = this.#env["CIRCLECI_RUNNER_LOGGING_FILE"];
    if (logFile === undefined) return void (await child.says(/launch agent started/));
    await until("the agent started", 60_000, async () => {
      const log = await readFile(logFile, "utf8").catch(() => "");
      if (child.ended) throw new Error(`the agent ended: ${child.said.slice(-2_000)}${log.slice(-2_000)}`);
      return log.includes("launch agent started") ? true : undefined;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.signal(signal);
  }

  async kill(): Promise<void> {
    await this.child.kill();
  }

  /** Drained, it ends by itself, and with 0. */
  async stop(): Promise<void> {
    if (this.child.ended) return;
    this.child.signal("SIGTERM");
    const { code } = await this.child.ends(30_000);
    if (code !== 0) throw new Error(`the agent ended with ${code}`);
  }
}
