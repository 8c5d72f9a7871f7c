import type { Account, ContainerPlan, Image, Workspace } from "../../engine/engine.ts";
import type { ContainerSpec, ImageSpec, Task, Work } from "../../protocol/task.ts";
import { needOf, type OpenPlan } from "../sandbox/need.ts";
import { commandOf, endingAfter, lifeMs } from "./deadline.ts";
import { splitEnvironment } from "./environment.ts";
import { label, type Role } from "./labels.ts";
import { ofClasses } from "./owner.ts";
import { isProblem, type Problem } from "./problem.ts";
import { shapeOf } from "./shape.ts";
import { resolveWorkingDirectory, taskAgentPath } from "./working-directory.ts";

export interface PlanInput {
  task: Task;
  /** That the task was queued for; the class that its job names may be another one. */
  queuedFor: string;
  /** The image that the steps run in, as the engine has it. */
  image: Image;
  account: Account;
  agent: PlanningAgent;
  /** Milliseconds since the epoch. */
  nowMs: number;
  /** How long everything of the task may live beyond its run time. */
  slackMs: number;
}

/** What the plan has to know of who makes it. */
export interface PlanningAgent {
  /** On all that it makes. */
  labels: Readonly<Record<string, string>>;
  /** The engine's architecture, in the words of images. */
  architecture: string;
  /** Starts the task agent. */
  argv: string[];
  /** Holds the task agent's files, for images that are not the task-agent image itself. */
  volume: string;
}

export interface TaskPlan {
  primary: OpenPlan;
  /** What is handed over: the task's work, with what is particular to this container. */
  work: Work;
}

const mostImages = 20;
/** `strict` never runs as root: an image without a user of its own runs as nobody, at home in its small /tmp. */
const nobody: Account = { uid: 65534, gid: 65534, home: "/tmp" };
const hostName = /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i;

/** The container in which the steps run. Pure; nothing in the task can make it wider than its class's limits say. */
export function planTask(input: PlanInput): TaskPlan | Problem {
  const { task } = input;
  const spec = task.container;
  const made = planPrimary({ ...input, spec, name: containerName(task, 0), labels: labels(input, "task") });
  if (isProblem(made)) return made;
  const { primary, path } = made;
  const image = splitEnvironment(input.image.environment).steps;
  return {
    primary,
    work: {
      ...task.work,
      workingDirectory: spec.workingDirectory.startsWith("~/") ? spec.workingDirectory : path,
      environment: { ...image, ...ownImage(spec)?.environment, ...task.work.environment },
    },
  };
}

export interface PoolInput extends Omit<PlanInput, "task" | "queuedFor" | "slackMs"> {
  spec: ContainerSpec;
  /** Unique among all containers. */
  id: string;
  /** How long it may live at most, from now on. */
  longestMs: number;
}

/** The same container, for a task that is still to come. Pure. */
export function planWaiting(input: PoolInput): OpenPlan | Problem {
  const { spec, agent, nowMs, id, longestMs } = input;
  const name = `cofferdam-pool-${id}`;
  const made = planPrimary({ ...input, name, labels: {} });
  if (isProblem(made)) return made;
  const { primary } = made;
  return {
    ...primary,
    labels: {
      ...agent.labels,
      [label.class]: spec.resourceClass,
      [label.deadline]: String(nowMs + longestMs),
      [label.role]: "pool" satisfies Role,
      [label.member]: name,
      [label.shape]: shapeOf(primary),
    },
  };
}

interface PrimaryInput extends Pick<PlanInput, "image" | "account" | "agent"> {
  spec: ContainerSpec;
  name: string;
  labels: Record<string, string>;
}

function planPrimary(input: PrimaryInput): { primary: OpenPlan; path: string } | Problem {
  const { spec, image, agent } = input;
  if (image.architecture !== agent.architecture) return wrongArchitecture(primaryReference(spec), input);
  if (spec.images.length > mostImages) return { problem: `more than ${mostImages} images in one job` };
  const names = localNames(spec.images);
  if (isProblem(names)) return names;
  const identity = identityOf(input);
  const directory = resolveWorkingDirectory(spec.workingDirectory, identity.account.home);
  if (isProblem(directory)) return directory;
  const { path } = directory;
  const sandbox = needOf(spec, names);
  const primary: OpenPlan = {
    name: input.name,
    labels: input.labels,
    environment: { ...splitEnvironment(image.environment).container, ...identity.environment },
    ...walls(spec),
    image: image.id,
    entrypoint: agent.argv,
    command: [],
    ...(identity.user === undefined ? {} : { user: identity.user }),
    // Where it starts tells the task agent what `~` is.
    workingDirectory: path,
    ...(names.length > 0 ? { localNames: names } : {}),
    network: { mode: sandbox ? "bridge" : "none" },
    ...(sandbox ? { sandbox } : {}),
    workspace: {
      ...workspace(spec, path, identity.account),
      ...(isPrepared(image, identity, path) && { prepared: true }),
    },
    shared: spec.executor === "docker" ? [{ volume: agent.volume, path: taskAgentPath }] : [],
  };
  return { primary, path };
}

interface Identity {
  account: Account;
  /** As the container is told; undefined: the image's own. */
  user: string | undefined;
  environment: Record<string, string>;
}

function identityOf(input: PrimaryInput): Identity {
  if (input.spec.isolation === "strict" && input.account.uid === 0) {
    return { account: nobody, user: `${nobody.uid}:${nobody.gid}`, environment: { HOME: nobody.home } };
  }
  return { account: input.account, user: ownImage(input.spec)?.user, environment: {} };
}

function ownImage(spec: ContainerSpec): ImageSpec | undefined {
  return spec.executor === "docker" ? spec.images[0] : undefined;
}

/**
 * A service container: what its image runs, in the network of the primary one. `index` is its place in the config. No agent needs to
 * come back for its end.
 */
export function planService(
  input: Omit<PlanInput, "account">,
  service: { spec: ImageSpec; index: number; joins: string },
): ContainerPlan | Problem {
  const { spec, index } = service;
  if (input.image.architecture !== input.agent.architecture) return wrongArchitecture(spec.image, input);
  const command = commandOf(input.image, spec);
  if (command.length === 0) return { problem: `image ${spec.image} runs nothing by itself. Give it a \`command\`` };
  return {
    name: containerName(input.task, index),
    labels: labels(input, "service"),
    environment: spec.environment,
    ...walls(input.task.container),
    image: input.image.id,
    entrypoint: endingAfter(lifeMs(input.task, input.slackMs), command),
    command: [],
    ...(spec.user === undefined ? {} : { user: spec.user }),
    network: { mode: "join", container: service.joins },
    shared: [{ volume: input.agent.volume, path: taskAgentPath }],
  };
}

function walls(spec: ContainerSpec): Pick<ContainerPlan, "limits" | "isolation"> {
  const { memoryBytes, cpus, pids, openFiles } = spec.limits;
  return { limits: { memoryBytes, cpus, pids, openFiles }, isolation: spec.isolation };
}

function containerName(task: Pick<Task, "id" | "attempt">, index: number): string {
  const id = task.id.replaceAll(/[^a-zA-Z0-9_.-]/g, "-").slice(0, 100);
  return `cofferdam-${id}-${task.attempt}-${index}`;
}

function labels(input: Omit<PlanInput, "account">, role: Role): Record<string, string> {
  const { task, agent } = input;
  return {
    ...agent.labels,
    ...ofClasses([input.queuedFor]),
    [label.task]: task.id,
    [label.attempt]: String(task.attempt),
    [label.class]: task.container.resourceClass,
    [label.deadline]: String(input.nowMs + lifeMs(task, input.slackMs)),
    [label.role]: role,
  };
}

/** Whether the image comes with this very workspace, owned by the user that the task runs as. */
function isPrepared(image: Image, identity: Identity, path: string): boolean {
  return identity.user === undefined && image.labels[label.workspace] === path;
}

function workspace({ limits }: ContainerSpec, path: string, account: Account): Workspace {
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

function primaryReference(spec: ContainerSpec): string {
  return spec.images[0]?.image ?? "the task-agent image";
}

function wrongArchitecture(reference: string, input: Pick<PlanInput, "image" | "agent">): Problem {
  return {
    problem:
      `image ${reference} is built for ${input.image.architecture}, and this host is ${input.agent.architecture}. ` +
      `Use an image that is built for ${input.agent.architecture}`,
  };
}
