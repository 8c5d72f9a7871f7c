import type { StepOutcome } from "../../protocol/records.ts";
import { RequestError } from "../channel/transfer.ts";
import { Interrupt, StepFailure } from "../steps/context.ts";

/** What an error of a step means, and whose fault it is. */
export function outcomeOf(error: unknown, signal: AbortSignal): StepOutcome {
  if (signal.aborted && signal.reason instanceof Interrupt) return signal.reason.outcome;
  if (error instanceof StepFailure) return { kind: "failed", message: error.message };
  if (error instanceof RequestError)
    return { kind: error.infrastructure ? "infrastructure" : "failed", message: error.message };
  if (isSystemError(error)) return { kind: "failed", message: systemMessage(error) };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "infrastructure", message: `The task agent failed: ${message}. Please report this.` };
}

/** How a step's end reads in a sentence that begins with the step. */
export function outcomeText(outcome: StepOutcome): string {
  switch (outcome.kind) {
    case "succeeded":
      return "succeeded";
    case "exited":
      return outcome.signal ? `was ended by ${outcome.signal}` : `exited with code ${outcome.code}`;
    case "failed":
    case "infrastructure":
      return `failed: ${outcome.message}`;
    case "timed-out":
      return outcome.limit === "no-output"
        ? `was ended: no output for ${seconds(outcome.afterMs)}`
        : `was ended: the job's run time is limited to ${seconds(outcome.afterMs)}`;
    default:
      return "was canceled";
  }
}

function seconds(ms: number): string {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} min` : `${ms / 1000} s`;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

function systemMessage(error: NodeJS.ErrnoException): string {
  const where = error.path === undefined ? "" : ` (${error.path})`;
  if (error.code === "ENOSPC") return `The disk is full${where}. Write less, or free room on the host.`;
  if (error.code === "EROFS")
    return `The file system is read-only${where}. Only the workspace and /tmp can be written.`;
  return error.message;
}
