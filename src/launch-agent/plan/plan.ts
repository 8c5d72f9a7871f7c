import type { Account, ContainerPlan, Image, Workspace } from "../../engine/engine.ts";
import type { ImageSpec, Task, Work } from "../../protocol/task.ts";
import { splitEnvironment } from "./environment.ts";
import { label, type Role } from "./labels.ts";
import { isProblem, type Problem } from "./problem.ts";
import { resolveWorkingDirectory, taskAgentPath } from "./working-directory.ts";

export interface PlanInput {
  task: Task;
  /** The image that the steps run in, as the engine has it. */
  image: Image;
  account: Account;
  agent: PlanningAgent;
  /** Milliseconds since the epoch. */
  nowMs: number;
}

/** What the plan has to know of who makes it. */
export interface PlanningAgent {
  name: string;
  /** The engine's architecture, in the words of images. */
  architecture: string;
  /** Starts the task agent. */
  argv: string[];
  /** Holds the task agent's files, for images that are not the task-agent image itself. */
  volume: string;
}

export interface TaskPlan {
  primary: ContainerPlan;
  /** What is handed over: the task's work, with what is particular to this container. */
  work: Work;
}

/** Beyond the task's own limit: spinning up, grace, reporting. After that anybody may remove what is left. */
const deadlineSlackMs = 30 * 60_000;
const mostImages = 20;
/** `strict` never runs as root: an image without a user of its own runs as nobody, at home in its small /tmp. */
const nobody: Account = { uid: 65534, gid: 65534, home: "/tmp" };
const hostName = /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i;

/** The container in which the steps run. Pure; nothing in the task can make it wider than its class's limits say. */
export function planTask(input: PlanInput): TaskPlan | Problem {
  const { task, image, agent } = input;
  const spec = task.container;
  if (image.architecture !== agent.architecture) return wrongArchitecture(primaryReference(task), input);
  if (spec.images.length > mostImages) return { problem: `more than ${mostImages} images in one job` };
  const names = localNames(spec.images);
  if (isProblem(names)) return names;
  const identity = identityOf(input);
  const directory = resolveWorkingDirectory(spec.workingDirectory, identity.account.home);
  if (isProblem(directory)) return directory;
  const split = splitEnvironment(image.environment);
  const environment = { ...split.container, ...identity.environment };
  return {
    primary: {
      ...common(input, { role: "task", index: 0, environment }),
      image: image.id,
      entrypoint: agent.argv,
      command: [],
      ...(identity.user === undefined ? {} : { user: identity.user }),
      // Where it starts tells the task agent what `~` is.
      workingDirectory: directory.path,
      ...(names.length > 0 ? { localNames: names } : {}),
      network: spec.network === "none" ? { mode: "none" } : { mode: "bridge" },
      workspace: {
        ...workspace(task, directory.path, identity.account),
        ...(isPrepared(image, identity, directory.path) && { prepared: true }),
      },
      shared: spec.executor === "docker" ? [{ volume: agent.volume, path: taskAgentPath }] : [],
    },
    work: {
      ...task.work,
      workingDirectory: spec.workingDirectory.startsWith("~/") ? spec.workingDirectory : directory.path,
      environment: { ...split.steps, ...ownImage(task)?.environment, ...task.work.environment },
    },
  };
}

interface Identity {
  account: Account;
  /** As the container is told; undefined: the image's own. */
  user: string | undefined;
  environment: Record<string, string>;
}

function identityOf(input: PlanInput): Identity {
  if (input.task.container.isolation === "strict" && input.account.uid === 0) {
    return { account: nobody, user: `${nobody.uid}:${nobody.gid}`, environment: { HOME: nobody.home } };
  }
  return { account: input.account, user: ownImage(input.task)?.user, environment: {} };
}

function ownImage(task: Task): ImageSpec | undefined {
  return task.container.executor === "docker" ? task.container.images[0] : undefined;
}

/** A service container: what its image runs, in the network of the primary one. `index` is its place in the config. */
export function planService(
  input: Omit<PlanInput, "account">,
  service: { spec: ImageSpec; index: number; joins: string },
): ContainerPlan | Problem {
  const { spec, index } = service;
  if (input.image.architecture !== input.agent.architecture) return wrongArchitecture(spec.image, input);
  return {
    ...common(input, { role: "service", index, environment: spec.environment }),
    image: input.image.id,
    ...(spec.entrypoint === undefined ? {} : { entrypoint: spec.entrypoint }),
    ...(spec.command === undefined ? {} : { command: spec.command }),
    ...(spec.user === undefined ? {} : { user: spec.user }),
    network: { mode: "join", container: service.joins },
    shared: [],
  };
}

function common(
  input: Omit<PlanInput, "account">,
  what: { role: Role; index: number; environment: Record<string, string> },
): Pick<ContainerPlan, "name" | "labels" | "environment" | "limits" | "isolation"> {
  const { task } = input;
  const { memoryBytes, cpus, pids, openFiles } = task.container.limits;
  return {
    name: containerName(task, what.index),
    labels: labels(input, what.role),
    environment: what.environment,
    limits: { memoryBytes, cpus, pids, openFiles },
    isolation: task.container.isolation,
  };
}

function containerName(task: Pick<Task, "id" | "attempt">, index: number): string {
  const id = task.id.replaceAll(/[^a-zA-Z0-9_.-]/g, "-").slice(0, 100);
  return `cofferdam-${id}-${task.attempt}-${index}`;
}

function labels(input: Omit<PlanInput, "account">, role: Role): Record<string, string> {
  const { task, agent } = input;
  return {
    [label.agent]: agent.name,
    [label.task]: task.id,
    [label.attempt]: String(task.attempt),
    [label.class]: task.container.resourceClass,
    [label.deadline]: String(input.nowMs + task.work.maxRunTimeMs + deadlineSlackMs),
    [label.role]: role,
  };
}

/** Whether the image comes with this very workspace, owned by the user that the task runs as. */
function isPrepared(image: Image, identity: Identity, path: string): boolean {
  return identity.user === undefined && image.labels[label.workspace] === path;
}

function workspace(task: Task, path: string, account: Account): Workspace {
  const { limits } = task.container;
  const owner = { uid: account.uid, gid: account.gid };
  return {
    path,
    owner,
    medium: limits.workspaceMedium,
    sizeBytes: limits.workspaceBytes,
  };
}

/** Every image's name is another word for localhost, as all of them share one network. */
function localNames(images: readonly ImageSpec[]): string[] | Problem {
  const names = images.flatMap((image) => (image.name === undefined ? [] : [image.name]));
  const bad = names.find((name) => !hostName.test(name));
  if (bad === undefined) return [...new Set(names)];
  return {
    problem: `image name ${JSON.stringify(bad.slice(0, 200))} is no host name. Use letters, digits, "-", "_" and "."`,
  };
}

function primaryReference(task: Task): string {
  return task.container.images[0]?.image ?? "the task-agent image";
}

function wrongArchitecture(reference: string, input: Pick<PlanInput, "image" | "agent">): Problem {
  return {
    problem:
      `image ${reference} is built for ${input.image.architecture}, and this host is ${input.agent.architecture}. ` +
      `Use an image that is built for ${input.agent.architecture}`,
  };
}
