import type { StoredImage } from "../../engine/engine.ts";
import { hasMark } from "../images/marks.ts";

export interface CollectRules {
  /** For all images that agents pulled; undefined: no limit but the disk. */
  imagesBytes?: number | undefined;
  /** What no task has asked for in so long goes. */
  imageMaxAgeMs: number;
  /** Images that somebody else brought may go, too. */
  foreignImages: boolean;
}

export interface Usage {
  /** When a task of this agent last asked for this image; undefined: not since it started. */
  usedAtMs: (imageId: string) => number | undefined;
  /** When this agent first saw it: other agents of the host may use what no task of this one has asked for. */
  seenAtMs: (imageId: string) => number;
  nowMs: number;
}

/** A task may have been given the image and not have made its container yet. */
const justUsedMs = 10 * 60_000;

/** What may be removed, the longest unused first. Never what a container was made of, running or not. */
export function removable(images: readonly StoredImage[], rules: CollectRules, usage: Usage): StoredImage[] {
  return images
    .filter((image) => !image.inUse && (rules.foreignImages || hasMark(image, "pulled")))
    .filter(({ id }) => usage.nowMs - order(id, usage) >= justUsedMs)
    .toSorted((a, b) => order(a.id, usage) - order(b.id, usage));
}

/** Of these, what has to go though there is room: too old, or over the budget. Layers that images share count for each. */
export function overdue(images: readonly StoredImage[], rules: CollectRules, usage: Usage): StoredImage[] {
  const ours = images.filter((image) => rules.foreignImages || hasMark(image, "pulled"));
  let bytes = ours.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const budget = rules.imagesBytes ?? Number.POSITIVE_INFINITY;
  return removable(images, rules, usage).filter((image) => {
    const isOld = usage.nowMs - (usage.usedAtMs(image.id) ?? usage.seenAtMs(image.id)) > rules.imageMaxAgeMs;
    if (!isOld && bytes <= budget) return false;
    bytes -= image.sizeBytes;
    return true;
  });
}

/** What no task has asked for comes first. */
function order(imageId: string, usage: Usage): number {
  return usage.usedAtMs(imageId) ?? Number.MIN_SAFE_INTEGER;
}
