import { z } from "zod";
import { Task } from "./task.ts";

/**
 * HTTP between launch agent and control plane.
 *
 * The first four calls have the public shapes of CircleCI's runner API, with fields of ours beside theirs. All others are
 * ours, under one prefix, and (but for `launchAgent`) take the task token of the claim: it stands for one attempt of one task, so a token of an
 * older attempt is answered 409 `stale-attempt` everywhere, one of an earlier process whose task was adopted 409 `adopted`,
 * an unknown one 401.
 */
export const agentApi = {
  /** GET, with the token of a class: ClassOfToken. */
  class: "/api/agent/v1/class",
  claim: "/api/v3/runner/claim",
  unclaim: "/api/v3/runner/unclaim",
  taskConfig: "/api/v2/task/config",
  fail: "/api/v2/task/event/fail",
  /** POST: OpenSession, with the class's token, before the first claim of a process. 200, or 409 `name-taken`. */
  session: "/api/agent/v1/session",
  /** POST: OpenSession, once nothing of it runs any more: the next one under this name need not be waited for. 200. */
  closeSession: "/api/agent/v1/session/close",
  /** POST: AdoptRequest, with the class's token. AdoptResponse; 404: that attempt is over, 409 `name-taken`. */
  adopt: "/api/agent/v1/adopt",
  heartbeat: "/api/agent/v1/heartbeat",
  /** GET, with the token of the class: LaunchAgentRelease. */
  launchAgent: "/api/agent/v1/launch-agent",
  /** POST, `?lane=`, body: frames of RecordFrame. */
  records: "/api/agent/v1/records",
  /** GET `?key=…&key=…`: archive of the newest prefix match, its key in `cofferdam-cache-key`; 204: none.
   *  HEAD `?key=`: 200 or 404 for this very key. PUT `?key=`: 201 stored, 200 was there already. */
  cache: "/api/agent/v1/cache",
  /** GET: WorkspaceLayers. PUT `?step=`: 201. */
  workspace: "/api/agent/v1/workspace",
  /** GET `/:layer`: archive. */
  workspaceLayer: (layer: string): string => `/api/agent/v1/workspace/${encodeURIComponent(layer)}`,
  /** PUT `?path=`: the file's bytes. 201. */
  artifacts: "/api/agent/v1/artifacts",
  /** PUT `?step=`: JSON of TestResults. 201. */
  testResults: "/api/agent/v1/test-results",
  /** GET `?method=&depth=`: archive of the source tree. */
  source: "/api/agent/v1/source",
  /** POST: ImagePin. 200: ImagePinResponse, which is what counts. */
  imagePins: "/api/agent/v1/image-pins",
  /** POST: Continuation, for the task's own pipeline. 200. */
  continue: "/api/agent/v1/continue",
} as const;

export const cacheKeyHeader = "cofferdam-cache-key";
/** Archives (caches, workspace layers, sources) are tar in zstd. The control plane never opens them. */
export const archiveMediaType = "application/x-tar+zstd";
export const framesMediaType = "application/vnd.cofferdam.frames";
/** Largest body of one records post. */
export const maxRecordsPostBytes = 8 * 1024 * 1024;

/** The agent's name, unique among the agents of its class. Letters, digits, space and `. ( ) - _`. */
const AgentName = z
  .string()
  .regex(/^[A-Za-z0-9 .()_-]{1,200}$/, "must contain only letters, numbers, .()_-, and spaces");
/** Chosen at random by each process of an agent: tells it from an earlier one, and from another one of the same name. */
const SessionId = z.string().min(1).max(100);

export const ClaimRequest = z.object({
  name: AgentName,
  hostname: z.string().max(255).default(""),
  ip: z.string().max(64).optional(),
  version: z.string().max(100).default(""),
  /** Chosen by the agent, one a claim: a repeated one is answered with the same task. */
  claim_id: z.string().max(100).optional(),
  /** Only what was handed out under this `claim_id` already: of an agent that stops, and whose answer may be on its way. */
  repeat_only: z.boolean().optional(),
  /** Of the process; the one that was opened last under this name. A name without sessions is nobody else's. */
  session: SessionId.optional(),
  /** How long the server may hold the call while there is no task. */
  wait_ms: z.int().min(0).max(60_000).default(0),
  /** Tokens of further classes, beside the call's own: the task that has waited longest in any of them is handed out. */
  more_tokens: z.array(z.string().min(1).max(512)).max(100).optional(),
});
export type ClaimRequest = z.infer<typeof ClaimRequest>;

/** Which class a token claims tasks of. */
export const ClassOfToken = z.object({ resource_class: z.string() });
export type ClassOfToken = z.infer<typeof ClassOfToken>;

export const ClaimResponse = z.object({
  task_token: z.string(),
  allocation: z.string(),
  agent_version: z.string(),
  resource_class: z.string(),
  is_enterprise: z.boolean(),
  warning: z.string().optional(),
  /** From here on ours. */
  lease_ms: z.int().positive(),
  /** How long this attempt was in the queue, by the control plane's own clock. */
  waited_ms: z.int().nonnegative().optional(),
  task: Task,
});
export type ClaimResponse = z.infer<typeof ClaimResponse>;

/**
 * A process says that it is the agent of this name from now on. Where another one was so before, that one is asked for a sign
 * of life: while it gives one, the new one is refused with 409 `name-taken`; when it does not, it claims nothing any more.
 */
export const OpenSession = z.object({
  name: AgentName,
  session: SessionId,
  hostname: z.string().max(255).default(""),
  version: z.string().max(100).default(""),
});
export type OpenSession = z.infer<typeof OpenSession>;

/** A process of an agent takes over a task that an earlier one ran, and whose container it has found. */
export const AdoptRequest = z.object({
  name: AgentName,
  session: SessionId,
  task_id: z.string().max(200),
  attempt: z.int().positive(),
});
export type AdoptRequest = z.infer<typeof AdoptRequest>;

/** As claimed, with a new token: those of the earlier process are stale. */
export const AdoptResponse = ClaimResponse.extend({
  /** Whether a step may have begun. */
  begun: z.boolean(),
  /** The number of the last stored record of each lane. */
  acked: z.object({ launch: z.int().nonnegative(), task: z.int().nonnegative() }),
  /** Steps of the launch lane that have not ended, and how many bytes of output of each are stored. */
  open_steps: z.array(z.object({ step: z.int().nonnegative(), bytes: z.int().nonnegative() })),
});
export type AdoptResponse = z.infer<typeof AdoptResponse>;

/** 200, or 409 when the task has been tried three times, or 404 when it is gone. */
export const UnclaimRequest = z.object({
  task_id: z.string(),
  task_token: z.string(),
  reason: z.string().max(8192).optional(),
});
export type UnclaimRequest = z.infer<typeof UnclaimRequest>;

export const FailRequest = z.object({
  allocation: z.string(),
  /** Milliseconds since the epoch. */
  timestamp: z.int(),
  /** UTF-8 in base64. */
  message: z.base64(),
});
export type FailRequest = z.infer<typeof FailRequest>;

/** Renews the lease. The server may hold the call up to `wait_ms`, and answers at once when the task is to end. */
export const HeartbeatRequest = z.object({ wait_ms: z.int().min(0).max(30_000).default(0) });
export type HeartbeatRequest = z.infer<typeof HeartbeatRequest>;

export const HeartbeatResponse = z.object({
  lease_ms: z.int().positive(),
  cancel: z.object({ reason: z.string() }).nullable(),
});
export type HeartbeatResponse = z.infer<typeof HeartbeatResponse>;

/** `image`: `name@sha256:…` that launch agents are to run; absent: whichever they do. */
export const LaunchAgentRelease = z.object({ image: z.string().optional() });
export type LaunchAgentRelease = z.infer<typeof LaunchAgentRelease>;

/** Up to which number the lane is stored. 409 `gap` carries the same body: the next post has to begin at acked + 1. */
export const RecordsResponse = z.object({ acked: z.int().nonnegative() });
export type RecordsResponse = z.infer<typeof RecordsResponse>;

/** What a tag stood for when a task of the pipeline first looked. */
export const ImagePin = z.object({
  /** In full: `docker.io/library/debian:12`. */
  reference: z.string().min(1).max(500),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, "must be like sha256:…"),
});
export type ImagePin = z.infer<typeof ImagePin>;

/** What it stands for in this pipeline: the first pin stays. */
export const ImagePinResponse = ImagePin.pick({ digest: true });

/** In the order in which they are to be laid over one another. */
export const WorkspaceLayers = z.object({ layers: z.array(z.object({ id: z.string(), sizeBytes: z.int() })) });
export type WorkspaceLayers = z.infer<typeof WorkspaceLayers>;

/** What a setup workflow goes on with: a config's text, and values for its pipeline parameters. */
export const Continuation = z.object({
  configuration: z.string().max(4 * 1024 * 1024),
  parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Chosen by a task, one a try of its own: after a broken connection the same one is answered as the first time. */
  request: z.string().max(100).optional(),
});
export type Continuation = z.infer<typeof Continuation>;

export const TestResult = z.object({
  classname: z.string(),
  name: z.string(),
  file: z.string().optional(),
  result: z.enum(["success", "failure", "error", "skipped"]),
  message: z.string().optional(),
  /** Seconds. */
  runTime: z.number().nonnegative(),
});
export type TestResult = z.infer<typeof TestResult>;
export const TestResults = z.object({ tests: z.array(TestResult).max(200_000) });
export type TestResults = z.infer<typeof TestResults>;

/** Every error answer. `code` is for programs, `message` says what, where and what to do next. */
export const ApiError = z.object({ code: z.string(), message: z.string() });
export type ApiError = z.infer<typeof ApiError>;
