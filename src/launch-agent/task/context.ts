import type { Engine, EngineInfo } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { AgentApi } from "../api/client.ts";
import type { Log } from "../log.ts";
import type { ImageStore } from "./images.ts";
import type { StartGate } from "./start-gate.ts";
import type { TaskAgentSource } from "./task-agent-source.ts";

/** What all tasks of one agent share. */
export interface TaskContext {
  api: AgentApi;
  engine: Engine;
  info: EngineInfo;
  images: ImageStore;
  taskAgent: TaskAgentSource;
  gate: StartGate;
  agent: { name: string; hostname: string; version: string };
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
  onEvent: (event: AgentEvent) => void;
}

/** All in milliseconds. */
export interface TaskTimes {
  /** From the container's start to the task agent having taken the work over. */
  acceptMs: number;
  /** Beyond the task's own grace, until a cancelled container is killed. */
  cancelSlackMs: number;
  /** Beyond the task's own run time, until this agent ends it. */
  runTimeSlackMs: number;
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
}

export const defaultTimes: TaskTimes = {
  acceptMs: 30_000,
  cancelSlackMs: 5_000,
  runTimeSlackMs: 30_000,
  cutOffMs: 3_600_000,
  unclaimMs: 30_000,
  cleanUpMs: 60_000,
  hurriedCleanUpMs: 3_000,
  drainMs: 10_000,
};

/** For metrics and tests. `atMs` by the monotonic clock. */
export type AgentEvent =
  | { type: "claimed" | "started" | "accepted" | "removed"; taskId: string; attempt: number; atMs: number }
  /** The engine does not answer, or has closed the door: every task here is about to end. */
  | { type: "engine-lost"; message: string; atMs: number }
  | { type: "ended"; taskId: string; attempt: number; atMs: number; end: string; message?: string };
