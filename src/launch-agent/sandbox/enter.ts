import type { ContainerPlan } from "../../engine/engine.ts";
import { label } from "../plan/labels.ts";
import type { Ground } from "../task/ground.ts";
import { SandboxError } from "./maker.ts";
import type { OpenPlan, SandboxNeed } from "./need.ts";
import { hasLists } from "./rules.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** What containers stand on that may be in a sandbox. */
export interface SandboxedGround extends Ground {
  sandboxes: Sandboxes;
}

/** A plan with a network, and the sandbox that it joins, which is the caller's to give back. */
export interface Entered {
  plan: ContainerPlan;
  sandbox?: Sandbox;
  /** What the network lets through, for people. */
  words: string[];
}

/** Rejects with SandboxError where a sandbox is needed and cannot be had, and with the signal's reason. */
export async function enterSandbox(
  open: OpenPlan,
  ground: SandboxedGround,
  options: { untilMs: number; signal: AbortSignal },
): Promise<Entered> {
  const { sandbox: need, ...plan } = open;
  if (!need) return { plan, words: ["Network: none"] };
  const { mode } = ground.sandboxes;
  if (mode === "off") return onBridge(plan, need, "sandboxes are switched off here");
  try {
    const sandbox = await ground.sandboxes.take(need, options);
    return { plan: joined(plan, sandbox), sandbox, words: sandbox.rules.words };
  } catch (error) {
    if (mode === "required" || !(error instanceof SandboxError)) throw error;
    ground.log.warn({ error: error.message }, "a task runs on the engine's default bridge, without rules");
    return onBridge(plan, need, error.message);
  }
}

/** What joins another container's network has its names, too. */
function joined(plan: ContainerPlan, sandbox: Sandbox): ContainerPlan {
  const { localNames: _names, ...rest } = plan;
  return {
    ...rest,
    labels: { ...plan.labels, [label.sandbox]: sandbox.name },
    network: { mode: "join", container: sandbox.id },
  };
}

/** Never for a class whose rules would not be in force. */
function onBridge(plan: ContainerPlan, { network }: SandboxNeed, why: string): Entered {
  if (hasLists(network)) throw new SandboxError(`the class has network rules, and they cannot be kept here: ${why}`);
  const words = `Network: the engine's default bridge, without rules: other tasks, this host and its metadata can be reached (${why})`;
  return { plan, words: [words] };
}
