import { errorFacts } from "../log.ts";
import { label } from "../plan/labels.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContainers } from "./containers.ts";
import type { Ground } from "./ground.ts";

/** Of the launch lane, beside `Network`. */
const pausedStep = 91;

interface Parts {
  /** Its id. */
  task: string;
  containers: Pick<TaskContainers, "knows">;
  lane: LaunchLane;
  ground: Pick<Ground, "log" | "clock">;
}

/** Tells a task, and the log, that somebody has paused a container of it. It stands still, and its limits do not: they end it. */
export class PauseTeller {
  readonly #parts: Parts;
  /** By name: since when, by the monotonic clock. */
  readonly #paused = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** `paused`: names of containers, of whichever task. */
  see(paused: ReadonlySet<string>): void {
    const { containers, ground } = this.#parts;
    for (const name of paused) {
      if (!containers.knows(name) || this.#paused.has(name)) continue;
      this.#paused.set(name, ground.clock.monotonic());
      this.#tell(name, "was paused from outside: it stands still, and its time limits go on");
    }
    for (const [name, sinceMs] of this.#paused) {
      if (paused.has(name)) continue;
      this.#paused.delete(name);
      this.#tell(name, `goes on, after ${Math.round((ground.clock.monotonic() - sinceMs) / 1000)} s`);
    }
  }

  /** The task ends. */
  end(): void {
    this.#parts.lane.stepEnded(pausedStep, { kind: "succeeded" });
  }

  #tell(name: string, what: string): void {
    const { lane, ground, task } = this.#parts;
    ground.log.warn({ task, container: name }, `a container of a task ${what}`);
    lane.stepStarted(pausedStep, "Paused from outside", "spin_up");
    lane.line(pausedStep, `Container ${name} ${what}`);
  }
}

export interface PauseWatchOptions {
  runs: () => Iterable<{ see: (paused: ReadonlySet<string>) => void }>;
  signal: AbortSignal;
}

/** Looks for paused containers while tasks run: one question for all of them. Until the signal; never rejects. */
export async function watchPauses(ground: Ground, { runs, signal }: PauseWatchOptions): Promise<void> {
  const { engine, clock, log, presence, agent, limits } = ground;
  for (let failed = false; !signal.aborted; ) {
    await clock.sleep(limits.pauseLookMs, signal).catch(() => undefined);
    const all = [...runs()];
    if (signal.aborted || all.length === 0 || presence.isAway) continue;
    try {
      const paused = new Set(await engine.paused({ [label.agent]: agent.name }, signal));
      for (const run of all) run.see(paused);
      failed = false;
    } catch (error) {
      // Whoever needs the engine for more says more of it.
      if (!failed && !signal.aborted) log.debug(errorFacts(error), "could not look for paused containers");
      failed = true;
    }
  }
}
