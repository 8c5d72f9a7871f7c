import type { ControlPlaneOptions } from "./control-plane.ts";

const gibibyte = 1024 ** 3;

/** A class is its own queue, with limits that suit most jobs. Whether the class exists is decided where it is used. */
export const defaultRoute: ControlPlaneOptions["route"] = (resourceClass) => {
  if (resourceClass === undefined) return undefined;
  return {
    queue: resourceClass,
    limits: {
      memoryBytes: 4 * gibibyte,
      cpus: 2,
      pids: 4096,
      openFiles: 65_536,
      workspaceBytes: 10 * gibibyte,
      workspaceMedium: "disk",
      outputBytes: 4 * gibibyte,
    },
    isolation: "standard",
    network: "egress",
    maxRunTimeMs: 5 * 60 * 60_000,
  };
};
