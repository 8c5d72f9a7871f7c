import { type Engine, EngineError } from "../../engine/engine.ts";
import type { Replacer } from "../../engine/replacer.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorFacts, type Log } from "../log.ts";
import { ownContainerId } from "./own-container.ts";

/** The id of the container whose place a new one is to take. Set by the agent that goes. */
export const successionVariable = "COFFERDAM_SUCCESSION";

/**
 * A successor's name while it is on trial, and once it has decided. Renaming is the one step that decides: what has the first name the
 * old agent may remove, what has the second one stops the old agent.
 */
export const trialName = (name: string): string => `${name}-successor`;
const decidedName = (name: string): string => `${name}-takes-over`;

const pauseMs = 1_000;

export interface SuccessionOptions {
  engine: Engine;
  replacer: Replacer;
  /** Value of `successionVariable`. */
  predecessor: string;
  mountinfo: string;
  /** Whether this agent could work: engine and control plane answer. Rejects with the reason where not. */
  ready: (signal: AbortSignal) => Promise<void>;
  /** How long the old agent may take to finish what runs. */
  drainMs: number;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/**
 * Takes the old agent's place: when this one is ready the old one is told to stop, which drains it; when it is gone, this one has its
 * name and its restart policy, and may claim. Rejects when the place cannot be taken: then the old agent stays.
 */
export async function takeOver(options: SuccessionOptions): Promise<void> {
  const { engine, replacer, log, signal } = options;
  const id = ownContainerId(options.mountinfo);
  const from = await replacer.look(options.predecessor, signal);
  // Restarted, long after it took over.
  if (from === undefined || id === undefined) return;
  if ((await replacer.look(id, signal))?.name !== decidedName(from.name)) {
    await becomeReady(options);
    if (!(await replacer.look(from.id, signal))?.running)
      throw new EngineError("failed", `${from.name} was stopped by somebody else: its successor has no place to take`);
    await replacer.rename(id, decidedName(from.name), signal);
  }
  log.info({ from: from.name }, "ready to take over: the old launch agent drains");
  await replacer.setRestartPolicy(id, from.restartPolicy, signal);
  await replacer.stop(from.id, options.drainMs, signal);
  await engine.remove(from.id, signal);
  await replacer.rename(id, from.name, signal);
  log.info({ name: from.name }, "took over");
}

/** Tries for as long as the old agent lets it. */
async function becomeReady({ ready, clock, log, signal }: SuccessionOptions): Promise<void> {
  for (;;) {
    try {
      return await ready(signal);
    } catch (error) {
      signal.throwIfAborted();
      log.warn(errorFacts(error), "not ready to take over yet");
      await clock.sleep(pauseMs, signal);
    }
  }
}
