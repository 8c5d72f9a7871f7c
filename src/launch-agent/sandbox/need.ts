import type { ContainerPlan } from "../../engine/engine.ts";
import type { ContainerSpec, Network } from "../../protocol/task.ts";

/** What a task needs of its sandbox. */
export interface SandboxNeed {
  network: Network;
  /** Extra names for 127.0.0.1: what joins a sandbox has its names. */
  localNames: string[];
  /** Who may have it after each other: tasks of one class and one isolation. */
  tenant: string;
  /** Whether anybody may have it after this task. */
  reusable: boolean;
}

/** A plan whose network is yet to be had. With `sandbox`, that is a sandbox to join; the network that it names is what else there is. */
export interface OpenPlan extends ContainerPlan {
  sandbox?: SandboxNeed;
}

export function needOf(spec: ContainerSpec, localNames: string[]): SandboxNeed | undefined {
  if (spec.network.mode === "none") return undefined;
  return {
    network: spec.network,
    localNames,
    tenant: `${spec.resourceClass} ${spec.isolation}`,
    reusable: spec.isolation === "standard",
  };
}
