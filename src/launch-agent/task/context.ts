import type { AgentApi } from "../api/client.ts";
import type { Pool } from "../pool/pool.ts";
import type { SandboxedGround } from "../sandbox/enter.ts";

/** What all tasks of one agent share. */
export interface TaskContext extends SandboxedGround {
  api: AgentApi;
  pool: Pool;
  onEvent: (event: AgentEvent) => void;
}

/** For metrics and tests. `atMs` by the monotonic clock. */
export type AgentEvent =
  /** `hit`: a container that waited took it over; `miss`: one had to be made. */
  | {
      type: "claimed" | "hit" | "miss" | "started" | "accepted" | "removed";
      taskId: string;
      attempt: number;
      atMs: number;
    }
  /** The engine does not answer, or has closed the door: every task here is about to end. */
  | { type: "engine-lost"; message: string; atMs: number }
  | { type: "ended"; taskId: string; attempt: number; atMs: number; end: string; message?: string };
