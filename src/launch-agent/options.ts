import { z } from "zod";
import type { Capacity } from "./claim/capacity.ts";
import type { PoolOptions } from "./pool/pool.ts";
import type { SandboxOptions } from "./sandbox/sandboxes.ts";

const gibibyte = 1024 ** 3;

/** Settings of the launch agent's process, by the names of its environment. Both generations of CircleCI's names work. */
export const Options = z.object({
  CIRCLECI_RUNNER_API_URL: z.url().describe("control plane to claim tasks from"),
  CIRCLECI_RUNNER_API_AUTH_TOKEN: z.string().min(1).describe("token of the resource class"),
  CIRCLECI_RUNNER_NAME: z
    .string()
    .regex(/^[A-Za-z0-9 .()_-]{1,200}$/, "must contain only letters, numbers, .()_-, and spaces")
    .describe("name of this agent, unique among those of its class"),
  CIRCLECI_RUNNER_LOGGING_LEVEL: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .describe("least severe line"),
  COFFERDAM_MAX_TASKS: z.coerce.number().int().positive().optional().describe("tasks at once; one a core by default"),
  COFFERDAM_MEMORY_BYTES: z.coerce
    .number()
    .int()
    .positive()
    .optional()
    .describe("memory for all tasks together; the host's but 1 GiB by default"),
  COFFERDAM_CPUS: z.coerce
    .number()
    .positive()
    .optional()
    .describe("cores for all tasks together; the host's by default"),
  COFFERDAM_POOL_PER_SHAPE: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(1)
    .describe("containers kept waiting for each shape of task that was seen; 0: none"),
  COFFERDAM_POOL_TOTAL: z.coerce
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe("containers kept waiting, all shapes together; one a core by default"),
  COFFERDAM_POOL_MEMORY_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(gibibyte)
    .describe("memory for those that wait, at 64 MiB each"),
  COFFERDAM_SANDBOX: z
    .enum(["required", "preferred", "off"])
    .default("required")
    .describe(
      "whether tasks that reach out have to be in a sandbox, whose rules keep them from each other, this host and its metadata; preferred: the engine's default bridge where none can be had; off: always that",
    ),
  COFFERDAM_SANDBOXES_READY: z.coerce
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe("sandboxes kept ready for the next tasks, at 32 MiB each; one a core by default"),
  COFFERDAM_TASK_AGENT_IMAGE: z
    .string()
    .min(1)
    .default("cofferdam/task-agent:dev")
    .describe("image that brings the task agent"),
  DOCKER_HOST: z.string().default("unix:///var/run/docker.sock").describe("engine that runs the tasks"),
});
export type Options = z.infer<typeof Options>;

/** Names of launch-agent 1.x, and of the old container image. */
const synonyms: Record<string, keyof Options> = {
  LAUNCH_AGENT_API_URL: "CIRCLECI_RUNNER_API_URL",
  LAUNCH_AGENT_API_AUTH_TOKEN: "CIRCLECI_RUNNER_API_AUTH_TOKEN",
  CIRCLECI_API_TOKEN: "CIRCLECI_RUNNER_API_AUTH_TOKEN",
  LAUNCH_AGENT_RUNNER_NAME: "CIRCLECI_RUNNER_NAME",
};

/** The settings, or one line for each that is wrong. No value is repeated: one of them is a secret. */
export function readOptions(
  environment: Readonly<Record<string, string | undefined>>,
): { options: Options } | { problems: string[] } {
  const named: Record<string, string | undefined> = {};
  for (const [synonym, name] of Object.entries(synonyms)) named[name] ??= environment[synonym];
  for (const [name, value] of Object.entries(environment)) if (value !== undefined && value !== "") named[name] = value;
  const parsed = Options.safeParse(named);
  if (parsed.success) return { options: parsed.data };
  return {
    problems: parsed.error.issues.map(
      (issue) => `${issue.path.join(".")}: ${describeIssue(issue.code, issue.message)}`,
    ),
  };
}

function describeIssue(code: string, message: string): string {
  return code === "invalid_type" ? "is not set" : message;
}

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
  return {
    tasks: options.COFFERDAM_MAX_TASKS ?? host.cpus,
    memoryBytes: options.COFFERDAM_MEMORY_BYTES ?? Math.max(gibibyte, host.memoryBytes - gibibyte),
    cpus: options.COFFERDAM_CPUS ?? host.cpus,
  };
}
