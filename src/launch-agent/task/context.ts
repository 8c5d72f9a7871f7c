import type { AgentApi } from "../api/client.ts";
import type { Policy } from "../policy/policy.ts";
import type { Pool } from "../pool/pool.ts";
import type { SandboxedGround } from "../sandbox/enter.ts";

/** What all tasks of one agent share. */
export interface TaskContext extends SandboxedGround {
  api: AgentApi;
  pool: Pool;
  policy: Policy;
  onEvent: (event: AgentEvent) => void;
}

/** For metrics and tests. `atMs` by the monotonic clock. */
export type AgentEvent =
  /** `hit`: a container that waited took it over; `miss`: one had to be made. */
  | {
      type: "claimed" | "hit" | "miss" | "started" | "accepted" | "adopted" | "removed";
      taskId: string;
      attempt: number;
      atMs: number;
    }
  /** What dead agents had left was found, and removed. */
  | { type: "leaks-found"; count: number; atMs: number }
  /** The engine does not answer, or has closed the door: every task here is about to end. */
  | { type: "engine-lost"; message: string; atMs: number }
  | { type: "ended"; taskId: string; attempt: number; atMs: number; end: string; message?: string }
  /** The control plane's answer to a claim, or that there was none. */
  | { type: "claim"; result: "task" | "none" | "failed" | "refused"; atMs: number }
  /** A task came that had been in the queue of its class for so long. */
  | { type: "queue-wait"; resourceClass: string; waitedMs: number; atMs: number }
  /** A claimed task waited so long until there was room for it. */
  | { type: "admitted"; taskId: string; waitedMs: number; atMs: number }
  /** How long a start of a container waited for its turn. */
  | { type: "gate"; waitedMs: number; atMs: number }
  /** Bytes of a task's records that the control plane has stored. */
  | { type: "output"; bytes: number; atMs: number }
  /** A call to the control plane that did not work: `no-answer`, or the status in words of `4xx`. */
  | { type: "api-failed"; kind: string; atMs: number };
