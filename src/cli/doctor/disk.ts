import { statfs } from "node:fs/promises";
import type { EngineAddress } from "../../engine/docker/index.ts";
import type { Finding } from "../../engine/fitness/assess.ts";
import type { HostFacts } from "../../engine/fitness/facts.ts";
import { size } from "../exec/render/text.ts";

const gibibyte = 1024 ** 3;
/** An image, a workspace and the layers of a build do not fit into less. */
const leastFreeBytes = 5 * gibibyte;
const scarceShare = 0.1;
const leastFreeInodes = 100_000;

/** Where the engine keeps images and workspaces. Its folder can only be looked at on the engine's own machine. */
export async function assessDisk(facts: HostFacts, address: EngineAddress): Promise<Finding> {
  const stats = address.kind === "tcp" ? undefined : await statfs(facts.dataRoot).catch(() => undefined);
  if (!stats)
    return {
      id: "disk",
      level: "warning",
      what: `the engine's disk (${facts.dataRoot || "its data root"}) cannot be seen from here`,
      next: "Run this on the engine's own machine, as a user who may read its data root.",
    };
  const freeBytes = stats.bavail * stats.bsize;
  const share = stats.blocks === 0 ? 1 : stats.bavail / stats.blocks;
  const what = `${size(freeBytes)} free for images and workspaces in ${facts.dataRoot}`;
  const next = "Free some (docker system df shows what takes it), or move the engine's data root.";
  if (freeBytes < leastFreeBytes) return { id: "disk", level: "bad", what, next };
  // Some file systems (btrfs) count no inodes.
  if (stats.files > 0 && stats.ffree < leastFreeInodes)
    return { id: "disk", level: "bad", what: `${what}, but only ${stats.ffree} inodes`, next };
  if (share < scarceShare)
    return { id: "disk", level: "warning", what: `${what}, ${Math.round(share * 100)} % of it`, next };
  return { id: "disk", level: "ok", what };
}
