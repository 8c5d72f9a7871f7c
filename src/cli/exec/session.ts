import { createHash, randomBytes, randomUUID } from "node:crypto";
import { lstat, mkdir, rm, stat } from "node:fs/promises";
import { homedir, hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { ControlPlane, ControlPlaneOptions } from "../../control-plane/control-plane.ts";
import { openControlPlane } from "../../control-plane/index.ts";
import type { Engine, EngineInfo } from "../../engine/engine.ts";
import { type AgentEvent, type LaunchAgent, type Log, startLaunchAgent } from "../../launch-agent/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { CommandError, exitCode, type Io } from "../io.ts";
import { routeLocally } from "./classes.ts";
import { watchEngine } from "./engine-watch.ts";
import { findEngine } from "./find-engine.ts";
import { retireDeadRuns, tidyUp } from "./housekeeping.ts";
import { removeLeftovers } from "./leftovers.ts";
import { openWorkingTree } from "./working-tree.ts";

/** A control plane and a launch agent in this process, talking over a unix socket that only this user can reach. */
export interface Session extends AsyncDisposable {
  controlPlane: ControlPlane;
  /** Aborts when the engine went away in mid-run. The reason is for people. */
  engineLost: AbortSignal;
  /** Resolves when every container of this run is gone, or could not be removed in time. */
  settle(): Promise<void>;
  /** Ends what still runs without grace. */
  hurry(): void;
  /** Undefined when nothing was stored. */
  artifactsDirectory(pipelineNumber: number): Promise<string | undefined>;
}

/** The image that brings the task agent, and in which `machine: true` runs. */
const taskAgentImage = "cofferdam/task-agent:dev";

export interface SessionOptions {
  /** Where `checkout` takes the tree from. */
  directory: string;
  env: Io["env"];
  /** Compiles what a setup workflow goes on with. */
  compile?: ControlPlaneOptions["compile"];
  /** Ends the search for an engine. */
  signal?: AbortSignal;
  /** What the launch agent does, for whoever measures it. */
  onEvent?: (event: AgentEvent) => void;
}

export async function openSession(options: SessionOptions): Promise<Session> {
  const { directory, env } = options;
  const runtimeDirectory = runtimeDirectoryOf(env);
  const prefix = prefixOf(runtimeDirectory);
  const name = `${prefix}${randomUUID().slice(0, 8)}`;
  const closing = new AbortController();
  const helperLabels = { "dev.cofferdam.agent": name, "dev.cofferdam.role": "helper" };
  const [{ engine, info }] = await Promise.all([
    findEngine(env, { helperLabels, signal: options.signal ?? closing.signal }),
    makeRuntimeDirectory(runtimeDirectory),
  ]);
  const dataDirectory = join(env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "cofferdam");
  const socketPath = join(runtimeDirectory, `${name}.sock`);
  checkSocketPath(socketPath);
  const controlPlane = await openStore(dataDirectory, {
    clock: systemClock,
    route: routeLocally(queueOf(name), info),
    sources: { open: async ({ signal }) => openWorkingTree(directory, signal) },
    ...(options.compile ? { compile: options.compile } : {}),
    logLevel: env["COFFERDAM_LOG_LEVEL"] ?? "silent",
  });
  // What dead runs left is looked for once the first task runs, so that no start waits behind it.
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const swept = begun.then(() => removeLeftovers(engine, { prefix, runtimeDirectory }, closing.signal)).catch(() => 0);
  const onEvent = (event: AgentEvent) => {
    if (event.type === "accepted") begin();
    options.onEvent?.(event);
  };
  const agent = await startAgent({ controlPlane, engine, info, name, socketPath, env, onEvent });
  const ownClass = queueOf(name);
  const runs = { classPrefix: queueOf(prefix), ownClass, runtimeDirectory };
  const retired = retireDeadRuns(controlPlane, runs).catch(() => undefined);
  const tidying = tidyUp(controlPlane, systemClock);
  const hurry = (reason: string) => {
    void agent.stop(reason);
    // The second time it does not wait.
    void agent.stop(reason);
  };
  const engineLost = watchEngine(engine, systemClock, closing.signal);
  engineLost.addEventListener("abort", () => hurry("the engine is gone"), { once: true });
  return {
    controlPlane,
    engineLost,
    settle: async () => {
      await agent.drain();
      begin();
      await Promise.all([swept, tidying.finish()]);
    },
    hurry: () => hurry("hurried"),
    artifactsDirectory: (pipelineNumber) => existing(join(dataDirectory, "artifacts", String(pipelineNumber))),
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      // Where the run ended as it should, the agent is closed already.
      await agent.stop("the session is over");
      await Promise.all([retired, tidying.stop()]);
      await controlPlane.retireResourceClass(ownClass, "the run is over").catch(() => undefined);
      await controlPlane.close({ graceMs: 0 });
      await rm(socketPath, { force: true });
    },
  };
}

async function openStore(
  dataDirectory: string,
  options: Omit<ControlPlaneOptions, "dataDirectory">,
): Promise<ControlPlane> {
  try {
    return await openControlPlane({ ...options, dataDirectory });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(
      `runs cannot be kept in ${dataDirectory}: ${message}. Set XDG_DATA_HOME to a directory on a local disk that you may write.`,
      { exitCode: exitCode.infrastructure, cause },
    );
  }
}

interface AgentParts {
  controlPlane: ControlPlane;
  engine: Engine;
  info: EngineInfo;
  name: string;
  socketPath: string;
  env: Io["env"];
  onEvent: (event: AgentEvent) => void;
}

async function startAgent({
  controlPlane,
  engine,
  info,
  name,
  socketPath,
  env,
  onEvent,
}: AgentParts): Promise<LaunchAgent> {
  const queue = queueOf(name);
  // In this order: a class whose socket nobody serves is a dead run's.
  const address = await controlPlane.listen({ socketPath });
  await controlPlane.putResourceClass({ name: queue });
  const token = await controlPlane.createToken(queue, "exec");
  return startLaunchAgent({
    api: { baseUrl: address.url, socketPath, token },
    engine,
    name,
    hostname: hostname(),
    version: "exec",
    // Limits are caps, not reservations: twice as many tasks as cores keep the cores busy.
    capacity: { tasks: Math.max(2, info.cpus * 2), cpus: Number.POSITIVE_INFINITY, memoryBytes: info.memoryBytes },
    taskAgentImage: env["COFFERDAM_TASK_AGENT_IMAGE"] ?? taskAgentImage,
    clock: systemClock,
    newId: randomUUID,
    randomBytes,
    log: silent,
    onEvent,
  });
}

/** One queue a run, so that two runs at once over one store never claim each other's tasks. */
function queueOf(name: string): string {
  return `local/${name}`;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Holds the sockets of running sessions. */
function runtimeDirectoryOf(env: Io["env"]): string {
  return join(env["XDG_RUNTIME_DIR"] || join(tmpdir(), `cofferdam-${userInfo().uid}`), "cofferdam");
}

/**
 * What the names of runs begin with that can see whether one another is alive: their sockets lie in one directory. A run that
 * keeps its socket elsewhere (a login without XDG_RUNTIME_DIR) must not look dead to us. Short: a socket's path ends at 107 bytes.
 */
function prefixOf(runtimeDirectory: string): string {
  const host = hostname();
  const place = createHash("sha256").update(`${host}\0${runtimeDirectory}`).digest("hex").slice(0, 8);
  return `exec-${host.replaceAll(/[^A-Za-z0-9.-]/g, "-").slice(0, 24)}-${userInfo().uid}-${place}-`;
}

/** The kernel takes no longer one. */
const maxSocketPathBytes = 107;

function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= maxSocketPathBytes) return;
  throw new CommandError(
    `the path of the socket ${path} is longer than ${maxSocketPathBytes} bytes: set XDG_RUNTIME_DIR to a shorter one.`,
    { exitCode: exitCode.usage },
  );
}

/** Private to the user. */
async function makeRuntimeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = await lstat(directory);
  if (uid === userInfo().uid && (mode & 0o022) === 0) return;
  throw new CommandError(
    `${directory} belongs to or can be written by another user: remove it, or set XDG_RUNTIME_DIR.`,
    {
      exitCode: exitCode.usage,
    },
  );
}

async function existing(path: string): Promise<string | undefined> {
  return await stat(path).then(
    () => path,
    () => undefined,
  );
}
