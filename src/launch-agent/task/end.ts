import { EngineError, type EngineErrorCode, type Exit } from "../../engine/engine.ts";
import type { TaskStatus } from "../../protocol/records.ts";
import type { Limits } from "../../protocol/task.ts";
import { bytesInWords } from "./words.ts";

/** How a task's life on this agent ended, and so what the control plane has to be told. */
export type TaskEnd =
  /** The task agent said it itself, and that is stored. */
  | { kind: "reported" }
  /** The control plane has given this attempt up, or this agent has lost it for too long: nobody listens. */
  | { kind: "unheard"; message: string }
  /** What the task agent could not say. */
  | { kind: "ended"; status: Exclude<TaskStatus, "success" | "infrastructure_fail">; message: string }
  /** Nothing of the job's doing. */
  | { kind: "infrastructure"; message: string };

/** Whose fault an engine's error is; all others are infrastructure. */
const faultsOfTheConfig: ReadonlySet<EngineErrorCode> = new Set([
  "bad-reference",
  "image-not-found",
  "image-denied",
  "wrong-architecture",
  "not-startable",
]);

/** The config asks for what cannot be: no such image, no such command, a workspace over /proc. */
export class ConfigFault extends Error {
  override name = "ConfigFault";
}

export function endOfError(error: unknown): TaskEnd {
  const message = error instanceof Error ? error.message : String(error);
  const configFault = error instanceof EngineError && faultsOfTheConfig.has(error.code);
  if (error instanceof ConfigFault || configFault) return { kind: "ended", status: "failed", message };
  return { kind: "infrastructure", message };
}

export interface Death {
  exit: Exit;
  /** Whether the task agent had taken the work over. */
  begun: boolean;
  limits: Limits;
  /** Set when we killed it, and why. */
  forced?: { status: "canceled" | "timedout"; reason: string };
  /** The last that it wrote to stderr. */
  stderr: string;
}

const killedCode = 137;

/** A container that ended without its task agent having reported the end of the task. */
export function endOfDeath(death: Death): TaskEnd {
  const { exit, forced } = death;
  if (forced)
    return { kind: "ended", status: forced.status, message: `${forced.reason} (did not end by itself: killed)` };
  if (exit.outOfMemory && exit.code !== 0) {
    const limit = bytesInWords(death.limits.memoryBytes);
    const message = `out of memory: the limit of the resource class is ${limit}. Use less at once, or a larger class`;
    return { kind: "ended", status: "failed", message };
  }
  const said = death.stderr === "" ? "" : `. It said: ${death.stderr}`;
  if (exit.error) return { kind: "infrastructure", message: `the container could not run: ${exit.error}${said}` };
  if (exit.code === killedCode) {
    return { kind: "infrastructure", message: `the container was killed from outside${said}` };
  }
  const when = death.begun ? "in the middle of the task" : "before it took the task over";
  return { kind: "infrastructure", message: `the task agent ended ${when}, with code ${exit.code}${said}` };
}
