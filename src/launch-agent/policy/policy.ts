import type { ContainerSpec } from "../../protocol/task.ts";

/** What the operator of this host allows, whatever a control plane says. What is not said is as the class has it. */
export interface Policy {
  /** Classes whose tasks run here. */
  classes?: readonly string[];
  /** Most that one container of a task may have. */
  memoryBytes?: number;
  cpus?: number;
  /** Least isolation. */
  isolation?: "standard" | "strict";
  /** Most that the network may reach. */
  network?: "none" | "egress";
}

/** Why this agent does not run such a task, for whoever wrote the job; undefined: it does. Pure. */
export function refusalOf(spec: ContainerSpec, resourceClass: string, policy: Policy): string | undefined {
  const reason = reasons(spec, resourceClass, policy).find((each) => each !== undefined);
  if (reason === undefined) return undefined;
  return `refused by this launch agent, whatever the control plane allows: ${reason}. Ask whoever runs this host`;
}

function reasons(spec: ContainerSpec, resourceClass: string, policy: Policy): (string | undefined)[] {
  const { limits, isolation, network, privileged, mounts } = spec;
  const { classes, memoryBytes = Number.POSITIVE_INFINITY, cpus = Number.POSITIVE_INFINITY } = policy;
  return [
    privileged ? "the task asks for a privileged container, which no task gets" : undefined,
    mounts && mounts.length > 0 ? "the task asks for mounts of the host, which no task gets" : undefined,
    classes && !classes.includes(resourceClass)
      ? `tasks of the class ${quoted(resourceClass)} do not run here (COFFERDAM_POLICY_CLASSES)`
      : undefined,
    limits.memoryBytes > memoryBytes
      ? `the task asks for ${limits.memoryBytes} bytes of memory, and ${memoryBytes} is the most (COFFERDAM_POLICY_MEMORY_BYTES)`
      : undefined,
    limits.cpus > cpus
      ? `the task asks for ${limits.cpus} cores, and ${cpus} is the most (COFFERDAM_POLICY_CPUS)`
      : undefined,
    policy.isolation === "strict" && isolation === "standard"
      ? "the task has the isolation standard, and strict is the least (COFFERDAM_POLICY_ISOLATION)"
      : undefined,
    policy.network === "none" && network.mode !== "none"
      ? "the task has a network, and none is what tasks get here (COFFERDAM_POLICY_NETWORK)"
      : undefined,
  ];
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}
