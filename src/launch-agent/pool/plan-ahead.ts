import type { ContainerSpec } from "../../protocol/task.ts";
import { planWaiting } from "../plan/plan.ts";
import { isProblem } from "../plan/problem.ts";
import type { OpenPlan } from "../sandbox/need.ts";
import type { Ground } from "../task/ground.ts";

export interface Ahead {
  spec: ContainerSpec;
  id: string;
  longestMs: number;
  signal: AbortSignal;
}

/**
 * The plan of a container for a task of this spec. Undefined where none can be made ahead: there are services to start
 * beside it, the image would have to be pulled, or the spec is wrong, which the task itself will be told.
 */
export async function planAhead(ground: Ground, ahead: Ahead): Promise<OpenPlan | undefined> {
  const { spec, id, longestMs, signal } = ahead;
  if (spec.images.length > 1) return undefined;
  const isDocker = spec.executor === "docker";
  const own = isDocker ? spec.images[0] : undefined;
  const [agent, present] = await Promise.all([
    ground.taskAgent.ready({ volume: isDocker, signal }),
    own && ground.images.present(own.image, signal),
  ]);
  const image = isDocker ? present : agent.image;
  if (!image) return undefined;
  const account = await ground.engine.account(image, own?.user, signal);
  const { labels } = ground.agent;
  const { architecture } = ground.info;
  const plan = planWaiting({
    spec,
    image,
    account,
    agent: { labels, architecture, argv: agent.argv, volume: agent.volume },
    nowMs: ground.clock.now(),
    id,
    longestMs,
  });
  return isProblem(plan) ? undefined : plan;
}
