import { stat, statfs } from "node:fs/promises";

/** Of the file system that the engine keeps images, containers and volumes on. */
export interface DiskSpace {
  freeBytes: number;
  totalBytes: number;
}

/** Undefined where the disk cannot be seen. */
export type DiskProbe = () => Promise<DiskSpace | undefined>;

/** What engines put into every container. */
const containerSigns = ["/.dockerenv", "/run/.containerenv"];

/**
 * A path on the engine's disk, as seen from here. The root of a container of that engine is one: its file system is a layer over the engine's
 * directory, and answers for the disk below. Outside of containers it is that directory. Undefined: the engine is on another machine.
 */
export async function pathOnEngineDisk(dataDirectory: string | undefined): Promise<string | undefined> {
  for (const sign of containerSigns) if (await exists(sign)) return "/";
  return dataDirectory !== undefined && (await exists(dataDirectory)) ? dataDirectory : undefined;
}

/** Asks the kernel, which answers at once. */
export function diskProbe(path: string): DiskProbe {
  return async () => {
    try {
      const { bavail, blocks, bfree, bsize } = await statfs(path);
      // Without what is kept for root: what `df` calls 100 %.
      return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize };
    } catch {
      return undefined;
    }
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
