/**
 * The compiled form of a config: what `config process` prints, and all that the control plane runs from. A version-2
 * config without templates, parameters, orbs, commands or executors; matrices and job groups expanded; conditions decided.
 */
export interface CompiledConfig {
  /** In order of first appearance in the workflows. */
  jobs: Record<string, CompiledJob>;
  workflows: Record<string, CompiledWorkflow>;
  /** `setup: true`: this config only decides which config is to go on. */
  setup?: boolean;
}

export type JobType = "build" | "approval" | "no-op" | "release" | "lock" | "unlock";

export interface CompiledJob {
  type?: JobType;
  docker?: CompiledImage[];
  machine?: true | CompiledMachine;
  macos?: Record<string, unknown>;
  resource_class?: string;
  /** A whole command line. */
  shell?: string;
  working_directory?: string;
  parallelism?: number;
  /** Later entries win. */
  environment?: Record<string, string>[];
  steps: CompiledStep[];
  /** release: plan_name; lock and unlock: key; retention, circleci_ip_ranges: as in the config. */
  [key: string]: unknown;
}

export interface CompiledImage {
  image: string;
  name?: string;
  user?: string;
  entrypoint?: string | string[];
  command?: string | string[];
  environment?: Record<string, string>;
  auth?: { username: string; password: string };
  aws_auth?: Record<string, string>;
  gcp_auth?: Record<string, string>;
}

export interface CompiledMachine {
  image?: string;
  docker_layer_caching?: boolean;
  enabled?: boolean;
}

/** A built-in step: its name alone, or a map of exactly that name to its options. `when`/`unless` steps are decided already. */
export type CompiledStep = string | Record<string, unknown>;

export interface CompiledWorkflow {
  jobs: CompiledInvocation[];
  triggers?: { schedule: { cron: string; filters?: Filters } }[];
  max_auto_reruns?: number;
}

/** A job's name alone, or a map of it to what the workflow says about it. */
export type CompiledInvocation = string | Record<string, InvocationOptions>;

export interface InvocationOptions {
  type?: JobType;
  requires?: Requirement[];
  filters?: Filters | string;
  context?: string[] | string;
  "serial-group"?: string;
  [key: string]: unknown;
}

export type RequireStatus = "success" | "failed" | "canceled" | "unauthorized" | "not_run";

/** A name: it has to succeed. A map: it has to end in one of these. */
export type Requirement = string | Record<string, RequireStatus | RequireStatus[] | "terminal">;

export interface Filters {
  branches?: Filter;
  tags?: Filter;
}

/** Literal names, or `/regular expressions/` that have to match the whole name. */
export interface Filter {
  only?: string | string[];
  ignore?: string | string[];
}
