import { z } from "zod";
import { StepKind, StepOutcome, TaskStatus } from "./records.ts";

/** CircleCI's words for where a job stands. */
export const JobStatus = z.enum([
  /** Waits for what it requires. */
  "blocked",
  /** Waits for a person. */
  "on_hold",
  /** Waits for an agent. */
  "queued",
  "running",
  "success",
  "failed",
  "canceled",
  "timedout",
  "infrastructure_fail",
  /** Something that it requires did not end as it has to. */
  "not_run",
  "unauthorized",
]);
export type JobStatus = z.infer<typeof JobStatus>;

export const WorkflowStatus = z.enum([
  "running",
  "on_hold",
  "failing",
  "success",
  "failed",
  "canceled",
  "error",
  "not_run",
]);
export type WorkflowStatus = z.infer<typeof WorkflowStatus>;

const Workflows = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    /** The workflow that failed, and from which this one goes on. */
    rerunOf: z.string().optional(),
    jobs: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        type: z.string(),
        requires: z.array(z.string()),
        parallelism: z.int(),
      }),
    ),
  }),
);

const taskRef = { jobId: z.string(), taskId: z.string() };

/**
 * What happens in a pipeline, in order, for whoever watches: the terminal, a page, `exec --json`.
 * A watcher that comes late gets the whole story from the start.
 */
export const WatchEvent = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("pipeline"),
    id: z.string(),
    number: z.int(),
    atMs: z.int(),
    workflows: Workflows,
  }),
  /** The pipeline has more workflows: its setup workflow went on with another config, or one that failed is run again. */
  z.object({ type: z.literal("workflows-added"), id: z.string(), atMs: z.int(), workflows: Workflows }),
  /** `reason` says why nothing of it runs. */
  z.object({
    type: z.literal("workflow"),
    id: z.string(),
    status: WorkflowStatus,
    reason: z.string().optional(),
    atMs: z.int(),
  }),
  /** `reason` says why a job waits, was not run, or failed before its first step. */
  z.object({ type: z.literal("job"), id: z.string(), status: JobStatus, reason: z.string().optional(), atMs: z.int() }),
  z.object({
    type: z.literal("task"),
    ...taskRef,
    index: z.int(),
    attempt: z.int(),
    status: z.union([z.enum(["queued", "running"]), TaskStatus]),
    agent: z.string().optional(),
    message: z.string().optional(),
    atMs: z.int(),
  }),
  z.object({
    type: z.literal("step-started"),
    ...taskRef,
    step: z.int(),
    name: z.string(),
    kind: StepKind,
    atMs: z.int(),
  }),
  /** Decoded output. `data` is base64, so that any bytes travel. */
  z.object({
    type: z.literal("output"),
    ...taskRef,
    step: z.int(),
    stream: z.enum(["stdout", "stderr"]),
    offset: z.int(),
    data: z.base64(),
  }),
  z.object({ type: z.literal("step-ended"), ...taskRef, step: z.int(), outcome: StepOutcome, atMs: z.int() }),
  z.object({ type: z.literal("artifact"), ...taskRef, path: z.string(), sizeBytes: z.int() }),
  z.object({ type: z.literal("test-results"), ...taskRef, total: z.int(), failed: z.int() }),
  /** The last one. */
  z.object({ type: z.literal("pipeline-ended"), id: z.string(), atMs: z.int() }),
]);
export type WatchEvent = z.infer<typeof WatchEvent>;
