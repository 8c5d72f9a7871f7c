import { Options } from "../options.ts";

export type Name = keyof typeof Options.shape;

/** Other names of a setting: of launch-agent 1.x, of the container runner, of the old container image, and of the usual proxies. */
export const synonyms: Partial<Record<Name, readonly string[]>> = {
  CIRCLECI_RUNNER_API_URL: ["LAUNCH_AGENT_API_URL", "RUNNER_API"],
  CIRCLECI_RUNNER_API_AUTH_TOKEN: ["LAUNCH_AGENT_API_AUTH_TOKEN", "CIRCLECI_API_TOKEN"],
  CIRCLECI_RUNNER_NAME: ["LAUNCH_AGENT_RUNNER_NAME", "AGENT_NAME"],
  CIRCLECI_RUNNER_MODE: ["LAUNCH_AGENT_RUNNER_MODE"],
  CIRCLECI_RUNNER_MAX_RUN_TIME: ["LAUNCH_AGENT_RUNNER_MAX_RUN_TIME", "MAX_RUN_TIME"],
  CIRCLECI_RUNNER_IDLE_TIMEOUT: ["LAUNCH_AGENT_RUNNER_IDLE_TIMEOUT"],
  CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS: ["MAX_CONCURRENT_TASKS"],
  CIRCLECI_RUNNER_LOGGING_LEVEL: ["O11Y_LEVEL"],
  CIRCLECI_RUNNER_LOGGING_FORMAT: ["O11Y_FORMAT"],
  CIRCLECI_RUNNER_LOGGING_FILE: ["LAUNCH_AGENT_LOGGING_FILE"],
  LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE: ["DISABLE_AUTO_UPDATE"],
  HTTPS_PROXY: ["https_proxy"],
  HTTP_PROXY: ["http_proxy"],
  NO_PROXY: ["no_proxy"],
};

const keysOfOthers: Readonly<Record<string, Name>> = {
  "api.url": "CIRCLECI_RUNNER_API_URL",
  "api.auth_token": "CIRCLECI_RUNNER_API_AUTH_TOKEN",
  "api.resource_class": "CIRCLECI_RESOURCE_CLASS",
  "runner.name": "CIRCLECI_RUNNER_NAME",
  "runner.mode": "CIRCLECI_RUNNER_MODE",
  "runner.max_run_time": "CIRCLECI_RUNNER_MAX_RUN_TIME",
  "runner.idle_timeout": "CIRCLECI_RUNNER_IDLE_TIMEOUT",
  "runner.max_concurrent_tasks": "CIRCLECI_RUNNER_MAX_CONCURRENT_TASKS",
  "runner.disable_auto_update": "LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE",
  "logging.level": "CIRCLECI_RUNNER_LOGGING_LEVEL",
  "logging.format": "CIRCLECI_RUNNER_LOGGING_FORMAT",
  "logging.file": "CIRCLECI_RUNNER_LOGGING_FILE",
  "proxy.https": "HTTPS_PROXY",
  "proxy.http": "HTTP_PROXY",
  "proxy.no_proxy": "NO_PROXY",
};

/** The keys of the YAML file. What begins with COFFERDAM_ or DOCKER_ stands under `cofferdam`. */
export const yamlKeys: ReadonlyMap<string, Name> = new Map([
  ...Object.entries(keysOfOthers),
  ...names().flatMap((name): [string, Name][] => {
    if (name.startsWith("DOCKER_")) return [[`cofferdam.${name.toLowerCase()}`, name]];
    return name.startsWith("COFFERDAM_") ? [[`cofferdam.${name.slice(10).toLowerCase()}`, name]] : [];
  }),
]);

/** In the order of the schema. */
export function names(): Name[] {
  return Object.keys(Options.shape) as Name[];
}

/** A setting of CircleCI's agents that this one does not take. */
export interface Foreign {
  key?: string;
  environment: readonly string[];
  /** `refused`: it asks for what would not be so. `idle`: it changes nothing here. */
  how: "refused" | "idle";
  /** Values with which it says what is so anyway. */
  fine?: RegExp;
  /** What is instead, for people. */
  instead: string;
}

export const foreign: readonly Foreign[] = [
  {
    key: "runner.command_prefix",
    environment: ["CIRCLECI_RUNNER_COMMAND_PREFIX", "LAUNCH_AGENT_RUNNER_COMMAND_PREFIX"],
    how: "refused",
    instead:
      "every task runs in a container of its own: choose the user by the job's image (`docker: - user:`), or give the class `strict` isolation",
  },
  {
    key: "runner.ssh.advertise_addr",
    environment: [
      "CIRCLECI_RUNNER_SSH_ADVERTISE_ADDR",
      "LAUNCH_AGENT_RUNNER_SSH_ADVERTISE_ADDR",
      "KUBE_SSH_IS_ENABLED",
    ],
    how: "refused",
    fine: /^false$/i,
    instead: "reruns with SSH are not supported; run the job where you are with `cofferdam exec`",
  },
  {
    environment: ["KUBE_TOKEN_SECRETS"],
    how: "refused",
    instead: "there is no Kubernetes here: mount the secrets and set COFFERDAM_TOKEN_DIRECTORY",
  },
  {
    key: "runner.working_directory",
    environment: ["CIRCLECI_RUNNER_WORK_DIR", "LAUNCH_AGENT_RUNNER_WORK_DIR"],
    how: "idle",
    instead: "every task has a workspace of its own in its container, at the job's working_directory",
  },
  {
    key: "runner.cleanup_working_directory",
    environment: ["CIRCLECI_RUNNER_CLEANUP_WORK_DIR", "LAUNCH_AGENT_RUNNER_CLEANUP_WORK_DIR"],
    how: "idle",
    fine: /^true$/i,
    instead: "a task's workspace always goes with its container",
  },
  {
    key: "runner.task_agent_directory",
    environment: ["CIRCLECI_RUNNER_TASK_AGENT_DIRECTORY"],
    how: "idle",
    instead: "the task agent comes with the image of COFFERDAM_TASK_AGENT_IMAGE",
  },
  {
    key: "runner.cache_task_agent",
    environment: ["CIRCLECI_RUNNER_CACHE_TASK_AGENT"],
    how: "idle",
    instead: "the task agent comes with the image of COFFERDAM_TASK_AGENT_IMAGE, which the engine keeps",
  },
  {
    key: "runner.use_home_ssh_dir_for_checkout_keys",
    environment: ["USE_HOME_SSH_DIR_FOR_CHECKOUT_KEYS"],
    how: "idle",
    fine: /^false$/i,
    instead: "the control plane checks out: no key comes into a task",
  },
  {
    environment: ["agent_version"],
    how: "idle",
    instead: "the image's tag says the version",
  },
  {
    environment: [
      "KUBE_GC_ENABLED",
      "KUBE_GC_THRESHOLD",
      "KUBE_GC_INTERVAL",
      "KUBE_AUTODETECT_PLATFORM",
      "KUBE_TASK_POD_CONFIG",
      "KUBE_RUNNER_INIT_IMAGE",
      "KUBE_LOGGING_IMAGE",
      "KUBE_LOGGING_SECRET",
      "KUBE_DISABLE_POD_DELETION_ON_TASK_CLEANUP",
      "KUBE_CONTAINER_AGENT_INSTANCE",
      "KUBE_NAMESPACE",
      "CHECK_ENABLED",
      "CHECK_THRESHOLD",
      "CHECK_INTERVAL",
    ],
    how: "idle",
    instead:
      "it is about Kubernetes; tasks here are containers of one Docker engine, which this agent keeps clean by itself",
  },
];
