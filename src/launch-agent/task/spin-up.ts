import type { Account, ContainerPlan, Image } from "../../engine/engine.ts";
import type { Secret } from "../../lib/secret.ts";
import { spinUpStep } from "../../protocol/records.ts";
import type { ContainerSpec, ImageSpec, Task } from "../../protocol/task.ts";
import { ensureTaskImage } from "../images/task-image.ts";
import { planService, planTask, type TaskPlan } from "../plan/plan.ts";
import { isProblem } from "../plan/problem.ts";
import { refusalOf } from "../policy/policy.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContext } from "./context.ts";
import { ConfigFault } from "./end.ts";
import type { TaskAgent } from "./task-agent-source.ts";
import { agentInWords, classInWords, imageInWords, isolationInWords } from "./words.ts";

export interface SpunUp extends TaskPlan {
  agent: TaskAgent;
  images: Image[];
  /** The task's own, with images by their content where that is known. */
  container: ContainerSpec;
}

/** Everything that a container needs before it is made: images, the task agent, the account, the plan. */
export async function spinUp(
  task: Task,
  context: TaskContext,
  options: { lane: LaunchLane; resourceClass: string; token: Secret; signal: AbortSignal },
): Promise<SpunUp> {
  const { lane, signal } = options;
  lane.stepStarted(spinUpStep, "Spin up environment", "spin_up");
  lane.line(spinUpStep, agentInWords(context.agent, context.info));
  const refusal = refusalOf(task.container, options.resourceClass, context.policy);
  if (refusal !== undefined) throw new ConfigFault(refusal);
  const isDocker = task.container.executor === "docker";
  const [agent, found] = await Promise.all([
    context.taskAgent.ready({ volume: isDocker, signal }),
    Promise.all(
      (isDocker ? task.container.images : []).map((spec) => ensureTaskImage(spec, task, { ...options, context })),
    ),
  ]);
  const images = found.map(({ image }) => image);
  const image = isDocker ? images[0] : agent.image;
  if (!image) throw new ConfigFault("the job has a docker executor without an image");
  const account = await accountOf(task, image, { context, signal });
  const plan = planTask({ ...planInput(task, image, agent, context), queuedFor: options.resourceClass, account });
  if (isProblem(plan)) throw new ConfigFault(plan.problem);
  if (!isDocker) lane.line(spinUpStep, imageInWords("of the task agent", image));
  lane.line(spinUpStep, classInWords(task.container));
  lane.line(spinUpStep, isolationInWords(task.container, plan.primary.workspace?.path ?? "/"));
  const container = { ...task.container, images: found.map(({ spec }) => spec) };
  return { ...plan, agent, images, container };
}

/** The plan of the service at `index` of the job's images, once the container that it joins exists. */
export function servicePlan(
  task: Task,
  context: TaskContext,
  service: { spec: ImageSpec; image: Image; agent: TaskAgent; index: number; joins: string; resourceClass: string },
): ContainerPlan {
  const { spec, image, agent, index, joins, resourceClass: queuedFor } = service;
  const plan = planService({ ...planInput(task, image, agent, context), queuedFor }, { spec, index, joins });
  if (isProblem(plan)) throw new ConfigFault(plan.problem);
  return plan;
}

function planInput(task: Task, image: Image, agent: TaskAgent, context: TaskContext) {
  return {
    task,
    image,
    agent: {
      labels: context.agent.labels,
      architecture: context.info.architecture,
      argv: agent.argv,
      volume: agent.volume,
    },
    nowMs: context.clock.now(),
    slackMs: context.limits.deadlineSlackMs,
  };
}

async function accountOf(
  task: Task,
  image: Image,
  options: { context: TaskContext; signal: AbortSignal },
): Promise<Account> {
  const user = task.container.executor === "docker" ? task.container.images[0]?.user : undefined;
  return await options.context.engine.account(image, user, options.signal);
}
