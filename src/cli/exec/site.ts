import { createHash, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import type { Engine, EngineInfo } from "../../engine/engine.ts";
import { type GroundOptions, type LaidGround, layGround } from "../../launch-agent/ground.ts";
import type { Log } from "../../launch-agent/log.ts";
import { label } from "../../launch-agent/plan/labels.ts";
import type { PoolOptions } from "../../launch-agent/pool/pool.ts";
import type { SandboxOptions } from "../../launch-agent/sandbox/options.ts";
import { systemClock } from "../../lib/clock.ts";
import { CommandError, exitCode, type Io } from "../io.ts";
import { findEngine, taskAgentImageOf } from "./find-engine.ts";
import { makeRuntimeDirectory, runtimeDirectoryOf } from "./runtime-directory.ts";

/**
 * Where a run takes place: its name, its engine, and what starts containers there. Everything that is needed before the first of
 * them can be started, and nothing else, because that is what the user waits for: whatever is loaded here is loaded first.
 */
export interface Site extends AsyncDisposable {
  /** Of this run, and of its launch agent. */
  name: string;
  /** What the names of runs begin with that can see whether this one is alive. */
  prefix: string;
  runtimeDirectory: string;
  socketPath: string;
  engine: Engine;
  info: EngineInfo;
  laid: LaidGround;
  /** What it was laid with. */
  agent: GroundOptions;
}

export interface SiteOptions {
  env: Io["env"];
  /** Ends the search for an engine. */
  signal?: AbortSignal;
  /** One as large as the machine has cores, that is never refilled, when not given. */
  pool?: Partial<PoolOptions>;
  /** None when not given: a run that ends at once would wait for what is made to be had again. */
  sandboxes?: Partial<SandboxOptions>;
}

export async function openSite({ env, signal, pool, sandboxes }: SiteOptions): Promise<Site> {
  const runtimeDirectory = runtimeDirectoryOf(env);
  const prefix = prefixOf(runtimeDirectory);
  const name = `${prefix}${randomUUID().slice(0, 8)}`;
  const socketPath = join(runtimeDirectory, `${name}.sock`);
  checkSocketPath(socketPath);
  const helperLabels = { [label.agent]: name, [label.role]: "helper" };
  const [{ engine, info }] = await Promise.all([
    findEngine(env, { helperLabels, signal: signal ?? new AbortController().signal }),
    makeRuntimeDirectory(runtimeDirectory),
  ]);
  const alive = await showLife(join(runtimeDirectory, `${name}.up`));
  const agent: GroundOptions = {
    engine,
    name,
    hostname: hostname(),
    version: "exec",
    taskAgentImage: taskAgentImageOf(env),
    clock: systemClock,
    newId: randomUUID,
    log: silent,
    pool: { total: info.cpus, ...pool },
    ...(sandboxes ? { sandboxes } : {}),
  };
  const laid = layGround(agent, info);
  // All that every container needs, while the config is read.
  void laid.ground.taskAgent.warm(new AbortController().signal);
  return {
    name,
    prefix,
    runtimeDirectory,
    socketPath,
    engine,
    info,
    laid,
    agent,
    [Symbol.asyncDispose]: async () => {
      // Somebody waits for this, and the next run would remove what is left.
      if (signal?.aborted) laid.hurrying.abort(new Error("the run is over"));
      await laid.pool.close();
      await laid.ground.sandboxes.close();
      await alive[Symbol.asyncDispose]();
    },
  };
}

/** One queue a run, so that two runs at once over one store never claim each other's tasks. */
export function queueOf(name: string): string {
  return `local/${name}`;
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A run makes containers before its control plane serves its socket: until then this one tells others that it is alive. */
async function showLife(path: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(path, resolve);
  });
  server.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await rm(path, { force: true });
    },
  };
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
