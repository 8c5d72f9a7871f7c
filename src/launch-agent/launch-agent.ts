import type { EngineInfo } from "../engine/engine.ts";
import type { Secret } from "../lib/secret.ts";
import type { Task } from "../protocol/task.ts";
import type { ApiAddress } from "./api/http.ts";
import type { Capacity } from "./claim/capacity.ts";
import type { Contact } from "./claim/connection-state.ts";
import type { DiskState } from "./disk/keeper.ts";
import type { GroundOptions, LaidGround } from "./ground.ts";
import type { Modes } from "./modes.ts";
import type { ServedClass } from "./plan/owner.ts";
import type { Policy } from "./policy/policy.ts";
import type { SandboxesState } from "./sandbox/options.ts";
import type { AgentEvent } from "./task/context.ts";

export interface LaunchAgentOptions extends GroundOptions {
  api: ApiAddress & { token: Secret };
  /** Several classes, or one that has to be of a name; each is asked about before it is used. Else `api.token` is just used. */
  classes?: readonly ServedClass[];
  /** What the caller has already asked the engine; asked here when not given. */
  engineInfo?: EngineInfo;
  /** What the caller has already laid, with the same options; laid here when not given. The agent's from now on. */
  laid?: LaidGround;
  /** Of this process, chosen at random. Undefined: no other one ever has this agent's name, before, beside or after it. */
  session?: string;
  capacity: Capacity;
  modes?: Modes;
  policy?: Policy;
  onEvent?: (event: AgentEvent) => void;
  /** A task has come: keeps its secrets out of the log until it is gone. */
  guard?: (task: Task) => () => void;
  /** How long the control plane may hold a claim. */
  claimWaitMs?: number;
}

export interface LaunchAgent {
  /** When the engine has been seen. Rejects with EngineError when it cannot be used; then the agent is closed, too. */
  ready: Promise<EngineInfo>;
  /** No new claims; resolves when the running tasks have ended and are cleaned up. */
  drain(): Promise<void>;
  /** Drains, and cancels what runs; what has not begun goes back to the queue. The second call hurries. */
  stop(reason: string): Promise<void>;
  /** When nothing runs and nothing is left. Never rejects. */
  closed: Promise<void>;
  /** What it is at. */
  status(): AgentStatus;
}

export interface AgentStatus {
  controlPlane: Contact;
  /** Set when it takes no new tasks any more: why. */
  ending: Ending | undefined;
  running: number;
  capacity: Capacity;
  /** Those that are known by name. */
  classes: string[];
  pool: { containers: number; waiting: number; bytes: number };
  /** Those that wait for tasks, and those that tasks have. */
  sandboxes: SandboxesState;
  /** Undefined where nobody looks after it. */
  disk: DiskState | undefined;
}

/** `done`: its modes say so. `refused`: the control plane refused all its tokens for too long. */
export type Ending = "drained" | "stopped" | "done" | "refused";
