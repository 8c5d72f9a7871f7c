import { z } from "zod";

/** Milliseconds. Zero and up. */
const DurationMs = z.int().nonnegative();

/** What one task may use of its host. Comes from the resource class, never from the job's own config. */
export const Limits = z.object({
  memoryBytes: z.int().positive().describe("hard limit of the container's memory; there is no swap beside it"),
  cpus: z.number().positive().describe("cores, fractions allowed: 0.5 is half a core"),
  pids: z.int().positive().describe("processes and threads together"),
  openFiles: z.int().positive().describe("open file descriptors of one process (RLIMIT_NOFILE, soft and hard)"),
  workspaceBytes: z.int().positive().describe("what the workspace may hold"),
  workspaceMedium: z
    .enum(["disk", "memory"])
    .describe("where the workspace lives; memory is a sized tmpfs, which counts as memory of the task"),
  outputBytes: z
    .int()
    .positive()
    .describe("step output that is stored, over the whole task; what is beyond is dropped, with one notice"),
});
export type Limits = z.infer<typeof Limits>;

/** How the container is closed off. Named profiles of the resource class. */
export const Isolation = z.enum(["standard", "strict"]);
export type Isolation = z.infer<typeof Isolation>;

/** Where a rule of the network applies: all of `to`, or only these ports of it. */
export const NetworkRule = z.object({
  to: z
    .string()
    .min(1)
    .max(255)
    .describe("an address (192.0.2.1), a network (10.0.0.0/8, fd00::/8) or a host name (registry.example.com)"),
  ports: z
    .array(z.string().regex(/^\d{1,5}(-\d{1,5})?$/))
    .optional()
    .describe("ports (443) and ranges (8000-8100); absent: all of them, and every protocol"),
  protocol: z.enum(["tcp", "udp"]).default("tcp").describe("which the ports are of"),
});
export type NetworkRule = z.infer<typeof NetworkRule>;

/**
 * What a task's network can reach. Never, whatever the rules say: other tasks, the host's own addresses, metadata addresses.
 * `none`: nothing but itself. `egress`: out.
 */
export const Network = z.object({
  mode: z.enum(["none", "egress"]).default("egress"),
  allow: z.array(NetworkRule).max(200).optional().describe("of `egress`: only these; absent: everything"),
  deny: z.array(NetworkRule).max(200).default([]).describe("of `egress`: none of these, even where allowed"),
  audit: z
    .boolean()
    .default(false)
    .describe("what `allow` and `deny` refuse is let through, and told in the task's log"),
});
export type Network = z.infer<typeof Network>;

/** When an image is pulled that is there already. `never`: nor when it is not. */
export const PullPolicy = z.enum(["always", "if-not-present", "never"]);
export type PullPolicy = z.infer<typeof PullPolicy>;

/** One image of a `docker:` executor, in the config's words. The first one is where the steps run. */
export const ImageSpec = z.object({
  image: z.string().min(1),
  /** Host name under which a service is reached, beside localhost. */
  name: z.string().optional(),
  user: z.string().optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()),
  auth: z.object({ username: z.string(), password: z.string() }).optional(),
});
export type ImageSpec = z.infer<typeof ImageSpec>;

/** What the launch agent needs in order to build the container. */
export const ContainerSpec = z.object({
  /** The class as the config names it; for people. */
  resourceClass: z.string(),
  /** `machine` runs in the task-agent image; `docker` in `images[0]`, with the others as services. */
  executor: z.enum(["docker", "machine"]),
  images: z.array(ImageSpec),
  limits: Limits,
  isolation: Isolation,
  network: Network,
  pull: PullPolicy.default("if-not-present"),
  /** Normalised names that images may have, `*` for any run of characters; absent: any. */
  allowedImages: z.array(z.string().min(1).max(500)).max(500).optional(),
  /** As the config has it; `~` is the home of the image's user. */
  workingDirectory: z.string(),
  /** What no task gets. They have names only so that a control plane that asks for them is refused in words. */
  privileged: z.boolean().optional(),
  mounts: z.array(z.unknown()).optional(),
});
export type ContainerSpec = z.infer<typeof ContainerSpec>;

export const StepWhen = z.enum(["on_success", "always", "on_fail"]);
export type StepWhen = z.infer<typeof StepWhen>;

const named = { name: z.string() };

export const RunStep = z.object({
  type: z.literal("run"),
  ...named,
  command: z.string(),
  /** A whole command line, such as `/bin/bash -eo pipefail`; the job's default when absent. */
  shell: z.string().optional(),
  environment: z.record(z.string(), z.string()),
  workingDirectory: z.string().optional(),
  when: StepWhen,
  background: z.boolean(),
  noOutputTimeoutMs: DurationMs,
  maxAutoReruns: z.int().min(0).max(5),
  autoRerunDelayMs: DurationMs,
});
export type RunStep = z.infer<typeof RunStep>;

export const CheckoutStep = z.object({
  type: z.literal("checkout"),
  ...named,
  path: z.string().optional(),
  method: z.enum(["blobless", "full", "shallow"]),
  depth: z.int().positive().optional(),
});
export type CheckoutStep = z.infer<typeof CheckoutStep>;

export const SaveCacheStep = z.object({
  type: z.literal("save_cache"),
  ...named,
  /** A key template; the task agent resolves it. */
  key: z.string().min(1),
  paths: z.array(z.string()).min(1),
  when: StepWhen,
});
export type SaveCacheStep = z.infer<typeof SaveCacheStep>;

export const RestoreCacheStep = z.object({
  type: z.literal("restore_cache"),
  ...named,
  /** Key templates, each a prefix, tried in order. */
  keys: z.array(z.string().min(1)).min(1),
});
export type RestoreCacheStep = z.infer<typeof RestoreCacheStep>;

export const StoreArtifactsStep = z.object({
  type: z.literal("store_artifacts"),
  ...named,
  path: z.string().min(1),
  destination: z.string().optional(),
});
export type StoreArtifactsStep = z.infer<typeof StoreArtifactsStep>;

export const StoreTestResultsStep = z.object({
  type: z.literal("store_test_results"),
  ...named,
  path: z.string().min(1),
});
export type StoreTestResultsStep = z.infer<typeof StoreTestResultsStep>;

export const PersistToWorkspaceStep = z.object({
  type: z.literal("persist_to_workspace"),
  ...named,
  root: z.string().min(1),
  /** Globs relative to root, in the words of Go's filepath.Match. */
  paths: z.array(z.string().min(1)).min(1),
});
export type PersistToWorkspaceStep = z.infer<typeof PersistToWorkspaceStep>;

export const AttachWorkspaceStep = z.object({
  type: z.literal("attach_workspace"),
  ...named,
  at: z.string().min(1),
});
export type AttachWorkspaceStep = z.infer<typeof AttachWorkspaceStep>;

/** A step that this runner knows and does not run. It fails (or only warns) with `reason`. */
export const UnsupportedStep = z.object({
  type: z.literal("unsupported"),
  ...named,
  reason: z.string(),
  fails: z.boolean(),
});
export type UnsupportedStep = z.infer<typeof UnsupportedStep>;

export const Step = z.discriminatedUnion("type", [
  RunStep,
  CheckoutStep,
  SaveCacheStep,
  RestoreCacheStep,
  StoreArtifactsStep,
  StoreTestResultsStep,
  PersistToWorkspaceStep,
  AttachWorkspaceStep,
  UnsupportedStep,
]);
export type Step = z.infer<typeof Step>;

/** What the task agent needs in order to run the steps. Everything in it is visible to the job. */
export const Work = z.object({
  /** Built-in (CIRCLE_*), context, project and job variables, merged in CircleCI's order of precedence. */
  environment: z.record(z.string(), z.string()),
  /** Values that are replaced by asterisks in all output. */
  secrets: z.array(z.string()),
  workingDirectory: z.string(),
  /** Whole command line; absent: `/bin/bash -eo pipefail`, or `/bin/sh -eo pipefail` where there is no bash. */
  shell: z.string().optional(),
  steps: z.array(Step),
  /** From the first step on. Then the task ends as `timedout`. */
  maxRunTimeMs: DurationMs,
  /** Between SIGTERM and SIGKILL of a step that is to end. */
  killGraceMs: DurationMs,
  workspaceBytes: z.int().positive(),
  outputBytes: z.int().positive(),
});
export type Work = z.infer<typeof Work>;

/** One parallel run of a job, as the control plane hands it out. */
export const Task = z.object({
  id: z.string(),
  /** Fencing token: which try of this task it is, from 1. */
  attempt: z.int().positive(),
  job: z.object({ id: z.string(), name: z.string(), number: z.int() }),
  workflow: z.object({ id: z.string(), name: z.string() }),
  pipeline: z.object({ id: z.string(), number: z.int() }),
  node: z.object({ index: z.int().nonnegative(), total: z.int().positive() }),
  container: ContainerSpec,
  /** What tags stand for in this pipeline, by the image's full name: `docker.io/library/debian:12` → `sha256:…`. */
  imagePins: z.record(z.string(), z.string()).optional(),
  work: Work,
});
export type Task = z.infer<typeof Task>;
