import { z } from "zod";
import { WatchEvent } from "./watch.ts";

/**
 * HTTP between operators and the control plane, with a user's token. The calls of `runner` have the public shapes of CircleCI's runner API, with
 * fields of ours beside theirs; all others are ours, under one prefix. Every error is answered as ApiError.
 */
export const operatorApi = {
  /** GET `?resource-class=` or `?namespace=` or neither: `{items}` of RunnerItem. */
  agents: "/api/v3/runner",
  /** GET `?resource-class=`. */
  unclaimedTasks: "/api/v3/runner/tasks",
  /** GET `?resource-class=`. */
  runningTasks: "/api/v3/runner/tasks/running",
  /** GET `?namespace=` or nothing: `{items}` of ClassItem. POST NewClass: ClassItem; 409 when there is one. */
  classes: "/api/v3/runner/resource",
  /** DELETE. 409 while it has tokens or tasks, unless forced. */
  classById: (id: string, force: boolean): string =>
    `/api/v3/runner/resource/${encodeURIComponent(id)}${force ? "/force" : ""}`,
  /** GET `?resource-class=`: `{items}` of TokenItem. POST NewClassToken: NewTokenItem. */
  tokens: "/api/v3/runner/token",
  /** DELETE. */
  tokenById: (id: string): string => `/api/v3/runner/token/${encodeURIComponent(id)}`,
  /** GET: ClassItem. PATCH ClassChange: ClassItem. */
  classByName: (name: string): string => `/api/operator/v1/resource-class/${name}`,
  /** GET `?resource-class=&limit=`: TaskList, those that run first. */
  tasks: "/api/operator/v1/tasks",
  /** GET: queues in the format of Prometheus. */
  metrics: "/metrics",
  /** POST Trigger: 201 Triggered; 400 `config-errors` whose message is for a terminal. */
  pipelines: "/api/operator/v1/pipelines",
  // Of a pipeline, by its id or its number.
  /** GET `?after=&output=`: lines of WatchLine as they come, empty ones when nothing does; ends with the pipeline. */
  watch: (pipeline: string): string => `/api/operator/v1/pipelines/${pipeline}/watch`,
  /** POST CancelPipeline. */
  cancel: (pipeline: string): string => `/api/operator/v1/pipelines/${pipeline}/cancel`,
  /** POST ApproveJob. */
  approve: (pipeline: string): string => `/api/operator/v1/pipelines/${pipeline}/approve`,
} as const;

const ClassName = z.string().min(3).max(201);

/** Times are in ISO 8601. */
export const RunnerItem = z.object({
  resource_class: z.string(),
  name: z.string(),
  hostname: z.string(),
  ip: z.string(),
  version: z.string(),
  first_connected: z.string(),
  last_connected: z.string(),
  /** When it last claimed a task. */
  last_used: z.string().nullable(),
  /** Ids of what it runs. */
  running_tasks: z.array(z.string()),
});
export type RunnerItem = z.infer<typeof RunnerItem>;
export const RunnerItems = z.object({ items: z.array(RunnerItem) });

export const ClassItem = z.object({
  id: z.string(),
  resource_class: z.string(),
  description: z.string(),
  /** ClassSettings as they were said: what is not said has its default. */
  settings: z.record(z.string(), z.unknown()),
});
export type ClassItem = z.infer<typeof ClassItem>;
export const ClassItems = z.object({ items: z.array(ClassItem) });

const Settings = z.record(z.string(), z.unknown());

export const NewClass = z.object({
  resource_class: ClassName,
  description: z.string().max(1000).default(""),
  settings: Settings.optional(),
});
export type NewClass = z.input<typeof NewClass>;

/** Limits and network are changed key by key, all else as a whole; null takes a setting back to its default. */
export const ClassChange = z.object({ description: z.string().max(1000).optional(), settings: Settings.optional() });
export type ClassChange = z.infer<typeof ClassChange>;

export const TokenItem = z.object({
  id: z.string(),
  resource_class: z.string(),
  nickname: z.string(),
  created_at: z.string(),
});
export type TokenItem = z.infer<typeof TokenItem>;
export const TokenItems = z.object({ items: z.array(TokenItem) });
export const NewClassToken = z.object({ resource_class: ClassName, nickname: z.string().min(1).max(200) });
/** The one time that the token can be read. */
export const NewTokenItem = TokenItem.extend({ token: z.string() });

export const TaskItem = z.object({
  id: z.string(),
  resource_class: z.string(),
  status: z.enum(["queued", "running"]),
  attempt: z.int(),
  agent: z.string().nullable(),
  pipeline: z.int(),
  workflow: z.string(),
  job: z.string(),
  index: z.int(),
  /** Of this attempt: how long it has been in the queue, or had been when it was handed out; null: not known. */
  waited_ms: z.int().nonnegative().nullable().default(null),
});
export type TaskItem = z.infer<typeof TaskItem>;
/** `items` may be fewer than there are. */
export const TaskList = z.object({ unclaimed: z.int(), running: z.int(), items: z.array(TaskItem) });
export type TaskList = z.infer<typeof TaskList>;

export const Trigger = z.object({
  config: z.string().max(4 * 1024 * 1024),
  /** What diagnostics call the config. */
  file: z.string().max(4096).optional(),
  repository: z.string().min(1).max(4096),
  /** Neither of the two: the repository's default branch. */
  branch: z.string().min(1).max(1000).optional(),
  tag: z.string().min(1).max(1000).optional(),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
});
export type Trigger = z.input<typeof Trigger>;

/** `warnings` is text for a terminal; empty: there are none. */
export const Triggered = z.object({ id: z.string(), number: z.int(), warnings: z.string() });
export type Triggered = z.infer<typeof Triggered>;

export const WatchLine = z.object({ seq: z.int().positive(), event: WatchEvent });
export type WatchLine = z.infer<typeof WatchLine>;

export const CancelPipeline = z.object({ reason: z.string().min(1).max(1000).default("cancelled by an operator") });
/** By name. */
export const ApproveJob = z.object({ job: z.string().min(1) });
/** What it was: of `cancel` and `approve`. */
export const Acted = z.object({ id: z.string(), number: z.int() });
