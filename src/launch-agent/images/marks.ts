import type { Image } from "../../engine/engine.ts";
import { fullName, readImageName } from "../../engine/image-name.ts";

/**
 * What has to be known of an image for as long as it is there, by whatever agent of the engine: names of a registry that does not exist.
 * `pulled`: an agent brought it, so an agent may take it away. `private`: a registry gave it for credentials, so nobody may use it
 * without asking the registry. They go with the image, and nothing has to be kept beside it.
 */
export type Mark = "pulled" | "private";

export const markRegistry = "cofferdam.local";

export function markName(mark: Mark, imageId: string): string {
  const tag = imageId.replace(/^sha256:/, "").replaceAll(/[^a-zA-Z0-9]/g, "");
  return `${markRegistry}/${mark}:${tag.slice(0, 32)}`;
}

export function hasMark(image: Pick<Image, "tags">, mark: Mark): boolean {
  return image.tags.some((tag) => tag.startsWith(`${markRegistry}/${mark}:`));
}

/** Its names with a tag, written out, but for our own. */
export function namesOf(image: Pick<Image, "tags">): string[] {
  return image.tags.map((tag) => fullName(readImageName(tag))).filter((name) => !name.startsWith(`${markRegistry}/`));
}
