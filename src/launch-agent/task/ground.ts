import type { Engine, EngineInfo } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DiskKeeper } from "../disk/keeper.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Log } from "../log.ts";
import type { EnginePresence } from "./engine-presence.ts";
import type { StartGate } from "./start-gate.ts";
import type { TaskAgentSource } from "./task-agent-source.ts";

/** What all containers of one agent share. None of it needs a control plane. */
export interface Ground {
  engine: Engine;
  info: EngineInfo;
  presence: EnginePresence;
  images: ImageStore;
  /** Absent where the disk is somebody else's to look after. */
  disk?: DiskKeeper;
  taskAgent: TaskAgentSource;
  gate: StartGate;
  /** `labels`: on all that it makes. */
  agent: { name: string; hostname: string; version: string; labels: Readonly<Record<string, string>> };
  limits: TaskTimes;
  clock: Clock;
  random: () => number;
  /** n random bytes. */
  randomBytes: (count: number) => Uint8Array;
  log: Log;
  /** Somebody waits for this agent to end, now: cleanup is tried for moments only, and nothing is reported any more. */
  hurry: AbortSignal;
  /** Names of containers that could not be removed. */
  leftovers: Set<string>;
}

/** All in milliseconds. */
export interface TaskTimes {
  /** From the container's start to the task agent having taken the work over. */
  acceptMs: number;
  /** From the start of a container of the pool to its task agent's greeting: a task may wait for it already. */
  greetMs: number;
  /** From handing a task to a container that waits to its acknowledgement: beyond it the task gets a new one. */
  handOverMs: number;
  /** Beyond the task's own grace, until a cancelled container is killed. */
  cancelSlackMs: number;
  /** Beyond the task's own run time, until this agent ends it. */
  runTimeSlackMs: number;
  /** Beyond the task's own run time, until what it has ends by itself and anybody may remove it. */
  deadlineSlackMs: number;
  /** Without the engine, until a task that needs it ends. */
  engineAwayMs: number;
  /** Before what an engine failed at is tried again. */
  engineRestMs: number;
  /** Without a word from the control plane, until tasks are given up. */
  cutOffMs: number;
  /** For giving a task back. */
  unclaimMs: number;
  /** For removing what a task left. */
  cleanUpMs: number;
  /** The same, when somebody waits. */
  hurriedCleanUpMs: number;
  /** For what a dead container still has in its pipe. */
  drainMs: number;
  /** How often it is looked whether somebody has paused a container. */
  pauseLookMs: number;
  /** For what services have said to be stored before the end of their task is. */
  lastWordsMs: number;
}

export const defaultTimes: TaskTimes = {
  acceptMs: 30_000,
  greetMs: 5_000,
  // What waits answers within some milliseconds, on a machine that is not overloaded; one that is dead says so at once.
  handOverMs: 3_000,
  cancelSlackMs: 5_000,
  runTimeSlackMs: 30_000,
  // Spinning up, grace, reporting.
  deadlineSlackMs: 30 * 60_000,
  engineAwayMs: 300_000,
  engineRestMs: 1_000,
  cutOffMs: 3_600_000,
  unclaimMs: 30_000,
  cleanUpMs: 60_000,
  hurriedCleanUpMs: 3_000,
  drainMs: 10_000,
  pauseLookMs: 2_000,
  lastWordsMs: 3_000,
};
