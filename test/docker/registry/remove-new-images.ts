import type { Engine } from "../../../src/engine/engine.ts";

/** Removes, when called, every image that came since. */
export async function removeNewImages(engine: Engine): Promise<() => Promise<void>> {
  const signal = new AbortController().signal;
  const before = new Set((await engine.images(signal)).map(({ id }) => id));
  return async () => {
    for (const image of await engine.images(signal)) {
      if (before.has(image.id)) continue;
      for (const name of [...image.tags, ...image.digests]) await engine.removeImage(name, signal);
    }
  };
}
