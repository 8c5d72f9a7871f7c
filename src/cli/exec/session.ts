import { rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ControlPlane, ControlPlaneOptions } from "../../control-plane/control-plane.ts";
import { openControlPlane } from "../../control-plane/index.ts";
import { type AgentEvent, type LaunchAgent, startLaunchAgent } from "../../launch-agent/index.ts";
import { systemClock } from "../../lib/clock.ts";
import { CommandError, exitCode, type Io } from "../io.ts";
import { routeLocally } from "./classes.ts";
import { watchEngine } from "./engine-watch.ts";
import { retireDeadRuns, tidyUp } from "./housekeeping.ts";
import { removeLeftovers } from "./leftovers.ts";
import { openSite, queueOf, type Site } from "./site.ts";
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

export interface SessionOptions {
  /** Where `checkout` takes the tree from. */
  directory: string;
  env: Io["env"];
  /** The session's from now on. Opened here when not given. */
  site?: Site;
  /** Compiles what a setup workflow goes on with. */
  compile?: ControlPlaneOptions["compile"];
  /** Ends the search for an engine. */
  signal?: AbortSignal;
  /** What the launch agent does, for whoever measures it. */
  onEvent?: (event: AgentEvent) => void;
}

export async function openSession(options: SessionOptions): Promise<Session> {
  const site = options.site ?? (await openSite(options));
  try {
    return await openOn(site, options);
  } catch (error) {
    await site[Symbol.asyncDispose]();
    throw error;
  }
}

async function openOn(site: Site, options: SessionOptions): Promise<Session> {
  const { directory, env } = options;
  const { name, prefix, runtimeDirectory, socketPath, engine, info } = site;
  const closing = new AbortController();
  const dataDirectory = join(env["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "cofferdam");
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
  const agent = await startAgent({ controlPlane, site, onEvent });
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
      await site[Symbol.asyncDispose]();
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
  site: Site;
  onEvent: (event: AgentEvent) => void;
}

async function startAgent({ controlPlane, site, onEvent }: AgentParts): Promise<LaunchAgent> {
  const { name, socketPath, info, laid } = site;
  const queue = queueOf(name);
  // In this order: a class whose socket nobody serves is a dead run's.
  const address = await controlPlane.listen({ socketPath });
  await controlPlane.putResourceClass({ name: queue });
  const token = await controlPlane.createToken(queue, "exec");
  return startLaunchAgent({
    api: { baseUrl: address.url, socketPath, token },
    ...site.agent,
    // Limits are caps, not reservations: twice as many tasks as cores keep the cores busy.
    capacity: { tasks: Math.max(2, info.cpus * 2), cpus: Number.POSITIVE_INFINITY, memoryBytes: info.memoryBytes },
    laid,
    onEvent,
  });
}

async function existing(path: string): Promise<string | undefined> {
  return await stat(path).then(
    () => path,
    () => undefined,
  );
}
