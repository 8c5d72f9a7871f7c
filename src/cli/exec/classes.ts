import type { Route } from "../../control-plane/control-plane.ts";
import { ClassSettings } from "../../protocol/resource-class.ts";
import type { Limits } from "../../protocol/task.ts";

const GiB = 1024 ** 3;

/** Cores and memory of CircleCI's resource classes, by the last word of their names. Source: its pricing of Linux executors. */
const sizes: Record<string, { cpus: number; memoryBytes: number }> = {
  small: { cpus: 1, memoryBytes: 2 * GiB },
  medium: { cpus: 2, memoryBytes: 4 * GiB },
  "medium+": { cpus: 3, memoryBytes: 6 * GiB },
  large: { cpus: 4, memoryBytes: 8 * GiB },
  xlarge: { cpus: 8, memoryBytes: 16 * GiB },
  "2xlarge": { cpus: 16, memoryBytes: 32 * GiB },
  "2xlarge+": { cpus: 20, memoryBytes: 40 * GiB },
};
const medium = { cpus: 2, memoryBytes: 4 * GiB };

/** What this machine has to give. */
export interface Host {
  cpus: number;
  memoryBytes: number;
}

/**
 * On one's own machine every class is served: CircleCI's by its size, all others (`namespace/name`) like `medium`. Never more than
 * the machine has: a class that is bigger gets the whole of it, but for a quarter of the memory.
 */
export function routeLocally(queue: string, host: Host): (resourceClass: string | undefined) => Route {
  return (resourceClass) => {
    const wanted = sizes[resourceClass?.split(".").at(-1) ?? ""] ?? medium;
    return {
      queue,
      defaultClass: "medium",
      ...ClassSettings.parse({}),
      limits: {
        ...common,
        cpus: Math.min(wanted.cpus, host.cpus),
        memoryBytes: Math.min(wanted.memoryBytes, Math.floor(host.memoryBytes * 0.75)),
      },
    };
  };
}

const common: Omit<Limits, "cpus" | "memoryBytes"> = {
  pids: 4096,
  // An engine refuses more than its own hard limit, and cannot be asked for it: 20,000 is the lowest seen.
  openFiles: 16_384,
  workspaceBytes: 20 * GiB,
  workspaceMedium: "disk",
  outputBytes: 4 * GiB,
};
