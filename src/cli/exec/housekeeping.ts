import { join } from "node:path";
import type { ControlPlane, Retention } from "../../control-plane/control-plane.ts";
import type { Clock } from "../../lib/clock.ts";
import { answers } from "./leftovers.ts";

const dayMs = 24 * 60 * 60_000;

/** What is kept between runs. */
const retention: Retention = { keepPipelines: 20, maxAgeMs: 15 * dayMs, maxBytes: 20 * 1024 ** 3 };
/** A long run tidies up meanwhile, a short one at its end. */
const beginAfterMs = 2_000;
/** How much longer a run may take because of it. What is left then waits for the next run. */
const graceMs = 300;

export interface Runs {
  /** Of the classes of runs that can be seen from here. */
  classPrefix: string;
  ownClass: string;
  runtimeDirectory: string;
}

/** Ends what runs that were killed have left queued, so that nobody waits for it: for their locks, least of all. */
export async function retireDeadRuns(controlPlane: ControlPlane, runs: Runs): Promise<void> {
  for (const name of await controlPlane.resourceClasses(runs.classPrefix)) {
    // A class is made only once its run's socket is there.
    const socket = join(runs.runtimeDirectory, `${name.slice(name.indexOf("/") + 1)}.sock`);
    if (name === runs.ownClass || (await answers(socket))) continue;
    await controlPlane.retireResourceClass(name, "the run was killed");
  }
}

export interface Tidying {
  /** Resolves when all is tidy, or the run would wait for too long. Never rejects. */
  finish(): Promise<void>;
  /** At once. Never rejects. */
  stop(): Promise<void>;
}

/** Removes what is old, beside the run. */
export function tidyUp(controlPlane: ControlPlane, clock: Clock): Tidying {
  const { promise: due, resolve: begin } = Promise.withResolvers<void>();
  const over = new AbortController();
  clock.sleep(beginAfterMs, over.signal).then(begin, begin);
  const prune = async () => (over.signal.aborted ? undefined : await controlPlane.prune(retention, over.signal));
  const tidy = due.then(prune).catch(() => undefined);
  const stop = async () => {
    over.abort();
    await tidy;
  };
  return {
    stop,
    finish: async () => {
      begin();
      const limit = new AbortController();
      await Promise.race([tidy, clock.sleep(graceMs, limit.signal).catch(() => undefined)]);
      limit.abort();
      await stop();
    },
  };
}
