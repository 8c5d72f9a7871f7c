import type { World } from "./world.ts";

/** Something that goes wrong, and what has to come out of it all the same. */
export interface Fault {
  id: string;
  /** What is done, and what has to come of it, in one line. */
  what: string;
  /** It does harm to the engine itself: on one of its own, where nothing else runs meanwhile. */
  alone?: boolean;
  /** Throws what is wrong; returns evidence, in words. */
  run(world: World): Promise<string>;
}
