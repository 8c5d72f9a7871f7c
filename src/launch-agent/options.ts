import { z } from "zod";
import { parseDuration } from "../lib/duration.ts";
import type { Capacity } from "./claim/capacity.ts";
import type { DiskOptions } from "./disk/keeper.ts";
import { diskProbe } from "./disk/space.ts";
import type { Modes } from "./modes.ts";
import type { Policy } from "./policy/policy.ts";
import type { PoolOptions } from "./pool/pool.ts";
import type { SandboxOptions } from "./sandbox/options.ts";

const gibibyte = 1024 ** 3;

const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  context.addIssue("must be a duration such as 72h, 1h30m20s, 50m or 30s");
  return z.NEVER;
});

const flag = z.string().transform((text, context) => {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  if (/^(false|0|no|off)$/i.test(text)) return false;
  context.addIssue("must be true or false");
  return z.NEVER;
});

const list = z.string().transform((text) =>
  text
    .split(/[\s,]+/)
    .map((each) => each.trim())
    .filter(Boolean),
);

const count = z.coerce.number().int().nonnegative();
const positive = z.coerce.number().int().positive();
const percent = z.coerce.number().min(1).max(99);
const httpUrl = z.url({ protocol: /^https?$/, error: "must be an address such as https://cofferdam.example.com" });

/**
 * Settings of the launch agent's process, by the names of its environment. `settings/keys.ts` has the other names that they go by.
 * Everything is text on its way in.
 */
export const Options = z.object({
  CIRCLECI_RUNNER_API_URL: httpUrl.describe("control plane to claim tasks from"),
  CIRCLECI_RUNNER_API_AUTH_TOKEN: z.string().min(1).optional().describe("token of the resource class"),
  CIRCLECI_RESOURCE_CLASS: z
    .string()
    .optional()
    .describe("class that the token has to be of, NAMESPACE/NAME; any by default"),
  CIRCLECI_RUNNER_RESOURCE_CLASSES: z
    .string()
    .optional()
    .describe("several classes for one agent: NAMESPACE/NAME=TOKEN,…; without =TOKEN it is in the token directory"),
  COFFERDAM_TOKEN_DIRECTORY: z
    .string()
    .optional()
    .describe("a file NAMESPACE.NAME for the token of each class; all of them are served when no classes are named"),
  CIRCLECI_RUNNER_NAME: z
    .string()
    .regex(/^[A-Za-z0-9 .()_-]{1,200}$/, "must contain only letters, numbers, .()_-, and spaces")
    .optional()
    .describe(
      "name of this agent, unique among those of its classes; by default made of the host's and the container's id, so that a container that is made anew has a new one",
    ),
  CIRCLECI_RUNNER_MODE: z
    .enum(["continuous", "single-task"])
    .default("continuous")
    .describe("`single-task`: ends after one task"),
  CIRCLECI_RUNNER_MAX_RUN_TIME: duration.prefault("5h").describe("longest time of a task, and of draining"),
  CIRCLECI_RUNNER_IDLE_TIMEOUT: duration
    .optional()
    .describe("ends when there was no task for so long; never by default"),
  CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: positive
    .optional()
    .describe("tasks at once; by default one a core, and one a GiB of memory at most"),
  CIRCLECI_RUNNER_LOGGING_LEVEL: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .describe("least severe line"),
  CIRCLECI_RUNNER_LOGGING_FORMAT: z.enum(["json", "text", "color", "none"]).default("json").describe("one line each"),
  CIRCLECI_RUNNER_LOGGING_FILE: z.string().default("-").describe("`-`: stderr"),
  COFFERDAM_HEALTH_ADDRESS: z
    .string()
    .regex(/^(none|(.*):(\d{1,5}))$/, "must be HOST:PORT, :PORT or none")
    .default(":7623")
    .describe("where /live, /ready and /metrics are served, HOST:PORT or :PORT; `none`: nowhere"),
  COFFERDAM_CA_FILE: z
    .string()
    .optional()
    .describe("PEM file of certificate authorities to trust, beside the usual ones, for the control plane"),
  HTTPS_PROXY: httpUrl.optional().describe("proxy on the way to an https control plane"),
  HTTP_PROXY: httpUrl.optional().describe("proxy on the way to an http control plane"),
  NO_PROXY: z.string().optional().describe("hosts that are reached without the proxy, with commas between"),
  COFFERDAM_MEMORY_BYTES: positive
    .optional()
    .describe("memory for all tasks together; the host's but 1 GiB by default"),
  COFFERDAM_CPUS: z.coerce
    .number()
    .positive()
    .optional()
    .describe("cores for all tasks together; the host's by default"),
  COFFERDAM_POOL_PER_SHAPE: count
    .default(1)
    .describe("containers kept waiting for each shape of task that was seen; 0: none"),
  COFFERDAM_POOL_TOTAL: count
    .optional()
    .describe("containers kept waiting, all shapes together; one a core by default"),
  COFFERDAM_POOL_MEMORY_BYTES: count.default(gibibyte).describe("memory for those that wait, at 64 MiB each"),
  COFFERDAM_SANDBOX: z
    .enum(["required", "preferred", "off"])
    .default("required")
    .describe(
      "whether tasks that reach out have to be in a sandbox, whose rules keep them from each other, this host and its metadata; preferred: the engine's default bridge where none can be had; off: always that",
    ),
  COFFERDAM_SANDBOXES_READY: count
    .optional()
    .describe("sandboxes kept ready for the next tasks, at 32 MiB each; one a core by default"),
  COFFERDAM_POLICY_CLASSES: list.optional().describe("classes whose tasks run here; any by default"),
  COFFERDAM_POLICY_IMAGES: list
    .optional()
    .describe("names that images of the docker executor may have, `*` for any run of characters; any by default"),
  COFFERDAM_POLICY_MEMORY_BYTES: positive.optional().describe("most memory that a task may ask for"),
  COFFERDAM_POLICY_CPUS: z.coerce.number().positive().optional().describe("most cores that a task may ask for"),
  COFFERDAM_POLICY_ISOLATION: z
    .enum(["standard", "strict"])
    .default("standard")
    .describe("least isolation of a task: `strict` refuses all others"),
  COFFERDAM_POLICY_NETWORK: z
    .enum(["none", "egress"])
    .default("egress")
    .describe("most that a task's network may reach: `none` refuses all others"),
  COFFERDAM_AUTO_UPDATE: flag.prefault("false").describe("replaces itself by the image that the control plane names"),
  LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE: flag
    .prefault("false")
    .describe("switches COFFERDAM_AUTO_UPDATE off, whoever set it"),
  COFFERDAM_DISK_PATH: z
    .string()
    .optional()
    .describe(
      "a path on the disk that the engine keeps its data on; found by itself where the engine is on this machine",
    ),
  COFFERDAM_DISK_FLOOR_BYTES: count
    .default(2 * gibibyte)
    .describe("with less than this free on the engine's disk no task is claimed"),
  COFFERDAM_DISK_HIGH_PERCENT: percent
    .default(85)
    .describe("images that agents pulled and nobody uses are removed from here on, the longest unused first"),
  COFFERDAM_DISK_LOW_PERCENT: percent.default(70).describe("until the disk is down to this"),
  COFFERDAM_DISK_IMAGES_BYTES: positive
    .optional()
    .describe("for all images that agents pulled, layers that they share counted for each; no limit by default"),
  COFFERDAM_DISK_IMAGE_MAX_AGE: duration.prefault("168h").describe("an image that no task asked for in so long goes"),
  COFFERDAM_DISK_FOREIGN_IMAGES: flag
    .prefault("false")
    .describe("images that somebody else brought may be removed, too, when no container uses them"),
  COFFERDAM_DISK_WORKSPACES_BYTES: positive
    .optional()
    .describe("for the workspaces of all tasks together, at their classes' limits; no limit by default"),
  COFFERDAM_TASK_AGENT_IMAGE: z
    .string()
    .min(1)
    .default("cofferdam/task-agent:dev")
    .describe("image that brings the task agent"),
  DOCKER_AUTH_CONFIG: z
    .string()
    .optional()
    .describe("credentials of registries: the text of a Docker config.json, of which `auths` counts"),
  DOCKER_HOST: z.string().default("unix:///var/run/docker.sock").describe("engine that runs the tasks"),
});
export type Options = z.infer<typeof Options>;

export function poolOf(options: Options, host: { cpus: number }): Partial<PoolOptions> {
  return {
    perShape: options.COFFERDAM_POOL_PER_SHAPE,
    total: options.COFFERDAM_POOL_TOTAL ?? host.cpus,
    memoryBytes: options.COFFERDAM_POOL_MEMORY_BYTES,
  };
}

export function sandboxesOf(options: Options, host: { cpus: number }): Partial<SandboxOptions> {
  return { mode: options.COFFERDAM_SANDBOX, ready: options.COFFERDAM_SANDBOXES_READY ?? host.cpus };
}

export function capacityOf(options: Options, host: { cpus: number; memoryBytes: number }): Capacity {
  const memoryBytes = options.COFFERDAM_MEMORY_BYTES ?? Math.max(gibibyte, host.memoryBytes - gibibyte);
  const cpus = options.COFFERDAM_CPUS ?? host.cpus;
  const fitting = Math.max(1, Math.floor(Math.min(cpus, memoryBytes / gibibyte)));
  const single = options.CIRCLECI_RUNNER_MODE === "single-task";
  return {
    tasks: single ? 1 : (options.CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS ?? fitting),
    memoryBytes,
    cpus,
    ...(options.COFFERDAM_DISK_WORKSPACES_BYTES === undefined
      ? {}
      : { workspaceBytes: options.COFFERDAM_DISK_WORKSPACES_BYTES }),
  };
}

/** `path`: one on the engine's disk. A low mark above the high one is taken for the high one. */
export function diskOf(options: Options, path: string | undefined): DiskOptions {
  const highPercent = options.COFFERDAM_DISK_HIGH_PERCENT;
  return {
    probe: path === undefined ? undefined : diskProbe(path),
    highPercent,
    lowPercent: Math.min(highPercent, options.COFFERDAM_DISK_LOW_PERCENT),
    floorBytes: options.COFFERDAM_DISK_FLOOR_BYTES,
    imagesBytes: options.COFFERDAM_DISK_IMAGES_BYTES,
    imageMaxAgeMs: options.COFFERDAM_DISK_IMAGE_MAX_AGE,
    foreignImages: options.COFFERDAM_DISK_FOREIGN_IMAGES,
  };
}

export function modesOf(options: Options): Modes {
  const idleTimeoutMs = options.CIRCLECI_RUNNER_IDLE_TIMEOUT;
  return {
    singleTask: options.CIRCLECI_RUNNER_MODE === "single-task",
    maxRunTimeMs: options.CIRCLECI_RUNNER_MAX_RUN_TIME,
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
  };
}

export function policyOf(options: Options): Policy {
  const { COFFERDAM_POLICY_CLASSES: classes } = options;
  const { COFFERDAM_POLICY_MEMORY_BYTES: memoryBytes, COFFERDAM_POLICY_CPUS: cpus } = options;
  return {
    isolation: options.COFFERDAM_POLICY_ISOLATION,
    network: options.COFFERDAM_POLICY_NETWORK,
    ...(classes === undefined ? {} : { classes }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(cpus === undefined ? {} : { cpus }),
  };
}
