import { statfsSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Bytes that the file system of a directory has left; undefined where there is no such directory. */
export function freeBytes(directory: string): number | undefined {
  try {
    const stats = statfsSync(directory);
    return stats.bavail * stats.bsize;
  } catch {
    return undefined;
  }
}

/** Whether there is no room left for a file, or no inode for one. */
export function isFull(directory: string): boolean {
  try {
    const stats = statfsSync(directory);
    return stats.bavail * stats.bsize < 64 * 1024 || (stats.files > 0 && stats.ffree === 0);
  } catch {
    return false;
  }
}

/** Bytes on disk of all that is below a directory. What vanishes meanwhile does not count, hard links count once. */
export async function usedBytes(directory: string, signal: AbortSignal): Promise<number> {
  const linked = new Set<number>();
  const todo = [directory];
  let total = 0;
  for (let next = todo.pop(); next !== undefined && !signal.aborted; next = todo.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true }).catch(() => [])) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) todo.push(path);
      else {
        const stats = await lstat(path).catch(() => undefined);
        if (!stats || (stats.nlink > 1 && linked.has(stats.ino))) continue;
        if (stats.nlink > 1) linked.add(stats.ino);
        total += stats.blocks * 512;
      }
    }
  }
  return total;
}
