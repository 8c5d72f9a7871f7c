import { z } from "zod";
import type { CompiledStep } from "../../config/compiled.ts";
import { type Step, StepWhen } from "../../protocol/task.ts";
import { MalformedJob } from "./malformed.ts";
import { CommandLine, Duration, Environment, NonEmpty, shapeProblem, Text } from "./shapes.ts";

const defaultNoOutputTimeoutMs = 10 * 60_000;

const Name = Text.optional();

const Run = z.object({
  command: Text,
  name: Name,
  shell: CommandLine.optional(),
  environment: Environment.default({}),
  background: z.boolean().default(false),
  working_directory: Text.optional(),
  no_output_timeout: Duration.default(defaultNoOutputTimeoutMs),
  when: StepWhen.default("on_success"),
  max_auto_reruns: z.int().min(1).max(5).optional(),
  auto_rerun_delay: Duration.optional(),
});
const Checkout = z.object({
  path: Text.optional(),
  method: z.enum(["blobless", "full", "shallow"]).default("blobless"),
  depth: z.int().positive().optional(),
  name: Name,
});
const SaveCache = z.object({
  key: NonEmpty,
  paths: z.array(NonEmpty).min(1),
  name: Name,
  when: StepWhen.default("on_success"),
});
const RestoreCache = z
  .object({ key: NonEmpty.optional(), keys: z.array(NonEmpty).default([]), name: Name })
  .refine(({ key, keys }) => key !== undefined || keys.length > 0, "needs a key, or keys");
const StoreArtifacts = z.object({ path: NonEmpty, destination: Text.optional(), name: Name });
const StoreTestResults = z.object({ path: NonEmpty, name: Name });
const Persist = z.object({ root: NonEmpty, paths: z.array(NonEmpty).min(1), name: Name });
const Attach = z.object({ at: NonEmpty, name: Name });

type Reader = (options: unknown) => Step;

const readers = new Map<string, Reader>(
  Object.entries({
    run: readRun,
    deploy: readRun,
    checkout: (options) => {
      const { path, method, depth, name } = Checkout.parse(options ?? {});
      return { type: "checkout", name: name ?? "Checkout code", method, ...defined({ path, depth }) };
    },
    save_cache: (options) => {
      const { key, paths, name, when } = SaveCache.parse(options);
      return { type: "save_cache", name: name ?? "Saving cache", key, paths, when };
    },
    restore_cache: (options) => {
      const { key, keys, name } = RestoreCache.parse(options);
      return {
        type: "restore_cache",
        name: name ?? "Restoring cache",
        keys: key === undefined ? keys : [key, ...keys],
      };
    },
    store_artifacts: (options) => {
      const { path, destination, name } = StoreArtifacts.parse(options);
      return { type: "store_artifacts", name: name ?? "Uploading artifacts", path, ...defined({ destination }) };
    },
    store_test_results: (options) => {
      const { path, name } = StoreTestResults.parse(options);
      return { type: "store_test_results", name: name ?? "Uploading test results", path };
    },
    persist_to_workspace: (options) => {
      const { root, paths, name } = Persist.parse(options);
      return { type: "persist_to_workspace", name: name ?? "Persisting to workspace", root, paths };
    },
    attach_workspace: (options) => {
      const { at, name } = Attach.parse(options);
      return { type: "attach_workspace", name: name ?? "Attaching workspace", at };
    },
    add_ssh_keys: () => ({
      type: "unsupported",
      name: "Installing additional SSH keys",
      reason: "no SSH keys are kept here, so none were added; give the job its keys another way if it needs them",
      fails: false,
    }),
  } satisfies Record<string, Reader>),
);

/** Steps that need what no runner of ours has. A job with one of them is not begun at all. */
const refused = new Map(
  Object.entries({
    setup_remote_docker:
      "setup_remote_docker cannot run here: tasks get no Docker engine. Take the step out, or run this job on CircleCI",
    install_signing_bundle: "install_signing_bundle cannot run here: it needs macOS. Run this job on CircleCI",
  }),
);

/** One step of a compiled job. Throws MalformedJob with the reason. `number` counts from 1, for the message. */
export function readStep(step: CompiledStep, number: number): Step {
  const [type, options] = typeOf(step, number);
  const reason = refused.get(type);
  if (reason !== undefined) throw new MalformedJob(reason);
  const reader = readers.get(type);
  if (!reader) throw new MalformedJob(`step ${number} is of the unknown type "${type}"`);
  try {
    return reader(options);
  } catch (error) {
    if (error instanceof z.ZodError) throw new MalformedJob(`step ${number} (${type}) ${shapeProblem(error)}`);
    throw error;
  }
}

/** The type's name of a step: `run` of both `run` and `{run: …}`. */
export function stepType(step: CompiledStep): string {
  return typeof step === "string" ? step : (Object.keys(step)[0] ?? "");
}

function typeOf(step: CompiledStep, number: number): [string, unknown] {
  if (typeof step === "string") return [step, undefined];
  const keys = Object.keys(step);
  if (keys.length !== 1)
    throw new MalformedJob(
      `step ${number} must have exactly one key, the step's type; it has ${keys.join(", ") || "none"}`,
    );
  const type = stepType(step);
  return [type, step[type]];
}

function readRun(options: unknown): Step {
  const run = Run.parse(typeof options === "string" ? { command: options } : options);
  return {
    type: "run",
    name: run.name ?? run.command,
    command: run.command,
    environment: run.environment,
    when: run.when,
    background: run.background,
    noOutputTimeoutMs: run.no_output_timeout,
    maxAutoReruns: run.max_auto_reruns ?? 0,
    autoRerunDelayMs: run.auto_rerun_delay ?? 0,
    ...defined({ shell: run.shell, workingDirectory: run.working_directory }),
  };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined. */
function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
