import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import type { Engine, EngineInfo } from "../engine/engine.ts";
import type { Clock } from "../lib/clock.ts";
import { DiskKeeper, type DiskOptions } from "./disk/keeper.ts";
import { type ImageRules, ImageStore } from "./images/image-store.ts";
import type { Log } from "./log.ts";
import { type Owner, ownerLabels } from "./plan/owner.ts";
import { defaultPool, Pool, type PoolOptions } from "./pool/pool.ts";
import { watchedEngine } from "./process/watched-engine.ts";
import type { SandboxedGround } from "./sandbox/enter.ts";
import { defaultSandboxes, type SandboxOptions } from "./sandbox/options.ts";
import { Sandboxes } from "./sandbox/sandboxes.ts";
import { EnginePresence } from "./task/engine-presence.ts";
import { defaultTimes, type Ground, type TaskTimes } from "./task/ground.ts";
import { StartGate } from "./task/start-gate.ts";
import { TaskAgentSource } from "./task/task-agent-source.ts";

export interface GroundOptions extends Owner {
  engine: Engine;
  hostname: string;
  version: string;
  /** Reference of the image that brings the task agent. */
  taskAgentImage: string;
  clock: Clock;
  newId: () => string;
  /** 0 ≤ n < 1, for pauses. */
  random?: () => number;
  /** For nonces. */
  randomBytes?: (count: number) => Uint8Array;
  log: Log;
  /** Container starts at once. When not given about one a core of the engine's host, as it does best. */
  startsAtOnce?: number;
  times?: Partial<TaskTimes>;
  /** None when not given. */
  pool?: Partial<PoolOptions>;
  /** How the engine's disk is kept from filling up; not at all when not given. */
  disk?: DiskOptions;
  /** Which images tasks may have, and with which credentials they are pulled. */
  images?: ImageRules;
  /** Off when not given. */
  sandboxes?: Partial<SandboxOptions>;
  /** IPv4 addresses of a host name; the system's resolver when not given. */
  resolve?: (name: string) => Promise<string[]>;
}

/**
 * What a launch agent stands on before it knows a control plane: the engine and its pool. Light to load, so that a program that
 * knows its tasks beforehand can have their containers started while it loads all the rest. Whoever lays it, and starts no agent
 * on it, closes its pool.
 */
export interface LaidGround {
  ground: SandboxedGround;
  pool: Pool;
  hurrying: AbortController;
}

export function layGround(options: GroundOptions, info: EngineInfo): LaidGround {
  const { clock, name, hostname, version } = options;
  let disk: DiskKeeper | undefined;
  const engine = watchedEngine(options.engine, (code, call) => {
    if (code === "disk-full") disk?.ranOut({ pulling: call === "pull" });
  });
  const random = options.random ?? Math.random;
  const images = new ImageStore({ engine, clock, random, ...options.images });
  if (options.disk) disk = new DiskKeeper({ engine, images, clock, log: options.log, disk: options.disk });
  const hurrying = new AbortController();
  const base: Ground = {
    engine,
    info,
    presence: new EnginePresence({ engine, clock, log: options.log }),
    images,
    ...(disk ? { disk } : {}),
    taskAgent: new TaskAgentSource({ engine, images, reference: options.taskAgentImage, clock }),
    gate: gateOf(options.startsAtOnce, info),
    agent: { name, hostname, version, labels: ownerLabels(options) },
    limits: { ...defaultTimes, ...options.times },
    clock,
    random,
    randomBytes: options.randomBytes ?? randomBytes,
    log: options.log,
    hurry: hurrying.signal,
    leftovers: new Set(),
  };
  const sandboxes = new Sandboxes(base, {
    sandboxes: { ...defaultSandboxes, ...options.sandboxes },
    newId: options.newId,
    resolve: options.resolve ?? resolveIpv4,
  });
  const ground: SandboxedGround = { ...base, sandboxes };
  return {
    ground,
    pool: new Pool(ground, { pool: { ...defaultPool, ...options.pool }, newId: options.newId }),
    hurrying,
  };
}

/** As many as there are cores, to begin with. */
function gateOf(fixed: number | undefined, { cpus }: EngineInfo): StartGate {
  if (fixed !== undefined) return new StartGate({ width: fixed });
  return new StartGate({ width: cpus, range: { least: Math.ceil(cpus / 2), most: cpus * 2 } });
}

async function resolveIpv4(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, family: 4 });
  return found.map(({ address }) => address);
}
