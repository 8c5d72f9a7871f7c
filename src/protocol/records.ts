import { z } from "zod";

export { firstTaskStep, maxOutputPieceBytes } from "./sync.ts";

/** The launch lane's step in which the container comes to be. */
export const spinUpStep = 0;

/**
 * A task's story is a log of records, numbered from 1 without gaps, one log per lane. Whoever writes a lane keeps each
 * record until it is acknowledged, and sends it again after a break; whoever stores it ignores numbers that it has.
 * So delivery is at-least-once, and what is stored is exactly-once and in order.
 */
export const Lane = z.enum([
  /** Written by the launch agent: spinning up, service containers, infrastructure failures. Steps 0 to 99. */
  "launch",
  /** Written by the task agent in the container. Steps from 100. */
  "task",
]);
export type Lane = z.infer<typeof Lane>;

/** How a step ended. */
export const StepOutcome = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("succeeded") }),
  /** A process ended with a code other than 0, or by a signal (then `signal` says which, and code is 128 + n). */
  z.object({ kind: z.literal("exited"), code: z.int(), signal: z.string().optional() }),
  /** What is not a process failed: a restore, an upload, a missing path. The message says what to do. */
  z.object({ kind: z.literal("failed"), message: z.string() }),
  z.object({ kind: z.literal("timed-out"), limit: z.enum(["no-output", "run-time"]), afterMs: z.int() }),
  z.object({ kind: z.literal("canceled") }),
  /** Nothing of the job's doing: the channel broke, the engine failed. */
  z.object({ kind: z.literal("infrastructure"), message: z.string() }),
]);
export type StepOutcome = z.infer<typeof StepOutcome>;

/** How a task ended. `infrastructure_fail` is nobody's fault who wrote the job, and is the only one that is retried. */
export const TaskStatus = z.enum(["success", "failed", "canceled", "timedout", "infrastructure_fail"]);
export type TaskStatus = z.infer<typeof TaskStatus>;

export const StepKind = z.enum([
  "run",
  "checkout",
  "save_cache",
  "restore_cache",
  "store_artifacts",
  "store_test_results",
  "persist_to_workspace",
  "attach_workspace",
  "unsupported",
  "spin_up",
  "service",
]);
export type StepKind = z.infer<typeof StepKind>;

export const StepStarted = z.object({
  type: z.literal("step-started"),
  step: z.int().nonnegative(),
  name: z.string().max(4096),
  kind: StepKind,
  background: z.boolean().optional(),
  /** Milliseconds since the epoch, by the writer's clock. */
  atMs: z.int(),
});
export type StepStarted = z.infer<typeof StepStarted>;

/** A piece of a step's output. The bytes are the frame's body. */
export const Output = z.object({
  type: z.literal("output"),
  step: z.int().nonnegative(),
  stream: z.enum(["stdout", "stderr"]),
  /** Where the piece begins in the step's output, both streams together in order of arrival, in bytes. */
  offset: z.int().nonnegative(),
  /** Bytes once decoded. At most `maxOutputPieceBytes`. */
  length: z.int().positive(),
  encoding: z.enum(["identity", "zstd"]),
});
export type Output = z.infer<typeof Output>;

export const StepEnded = z.object({
  type: z.literal("step-ended"),
  step: z.int().nonnegative(),
  outcome: StepOutcome,
  atMs: z.int(),
});
export type StepEnded = z.infer<typeof StepEnded>;

/** The last record of the task lane, or of the launch lane where the task agent cannot say it. */
export const TaskEnded = z.object({
  type: z.literal("task-ended"),
  status: TaskStatus,
  message: z.string().max(8192).optional(),
  atMs: z.int(),
});
export type TaskEnded = z.infer<typeof TaskEnded>;

export const RecordBody = z.discriminatedUnion("type", [StepStarted, Output, StepEnded, TaskEnded]);
export type RecordBody = z.infer<typeof RecordBody>;

/** Header of a frame that carries one record; an output record's bytes are the frame's body. */
export const RecordFrame = z.object({
  type: z.literal("record"),
  /** From 1, without gaps, within its lane. */
  seq: z.int().positive(),
  record: RecordBody,
});
export type RecordFrame = z.infer<typeof RecordFrame>;
