import type { StoredArchive } from "../store/retention.ts";

export interface ArchiveLimits {
  maxAgeMs: number;
  /** Of caches and workspaces together. */
  maxBytes: number;
}

/** Which caches and workspace layers have to go: what is too old, and then the oldest until the rest fits. Pure. `archives`: oldest first. */
export function archivesToRemove(
  archives: readonly StoredArchive[],
  { maxAgeMs, maxBytes, nowMs }: ArchiveLimits & { nowMs: number },
): StoredArchive[] {
  let bytes = archives.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return archives.filter(({ inUse, createdMs, sizeBytes }) => {
    if (inUse || (nowMs - createdMs <= maxAgeMs && bytes <= maxBytes)) return false;
    bytes -= sizeBytes;
    return true;
  });
}
