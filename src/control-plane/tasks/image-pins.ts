import type { ContainerSpec } from "../../protocol/task.ts";

/** In the place of a class: its pins count for the tasks of all classes that take the word of others. */
const everybody = "";
/** A registry that is another one on each host. */
const loopback = /^(?:localhost|127(?:\.\d+){3})(?::\d+)?\//;

/** Whose pins a task follows, and for whom it sets one. */
export interface PinClasses {
  follows: readonly string[];
  sets: (reference: string) => string;
}

/**
 * A name of an image stands for one content in a whole pipeline, whichever class says so first, as it means one registry's image. Where it does
 * not, each class finds out for itself: of a registry on the host's own loopback; where nothing is pulled, so that the name means
 * what lies on the hosts of the class; and where a class allows some images only, as another class's agents could name any content of the repository.
 */
export function pinClasses(
  queue: string,
  { pull, allowedImages }: Pick<ContainerSpec, "pull" | "allowedImages">,
): PinClasses {
  if (pull === "never" || allowedImages !== undefined) return { follows: [queue], sets: () => queue };
  return {
    follows: [everybody, queue],
    sets: (reference) => (loopback.test(reference) ? queue : everybody),
  };
}
