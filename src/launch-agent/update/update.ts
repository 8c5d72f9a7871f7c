import { type Engine, EngineError, type Image, isEngineError } from "../../engine/engine.ts";
import type { OwnContainer, Replacer } from "../../engine/replacer.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ImageStore } from "../images/image-store.ts";
import { errorFacts, type Log } from "../log.ts";
import { repositoryOf } from "./own-container.ts";
import { successionVariable, trialName } from "./succession.ts";

export interface UpdateOptions {
  engine: Engine;
  replacer: Replacer;
  /** Brings images as tasks get theirs: with this agent's credentials, closed to tasks where it took those. */
  images: Pick<ImageStore, "ensure">;
  own: OwnContainer;
  /** The image, `name@sha256:…`, that the control plane wants agents to run; undefined when it does not say. */
  wanted: (signal: AbortSignal) => Promise<string | undefined>;
  /** No task runs here. */
  isIdle: () => boolean;
  clock: Clock;
  log: Log;
  /** Fires when this agent is told to stop: also by its successor. */
  signal: AbortSignal;
  /** How often the control plane is asked. */
  everyMs?: number;
  /** How long a successor has to become ready. */
  trialMs?: number;
}

const defaults = { everyMs: 60_000, trialMs: 120_000 };
const idlePollMs = 1_000;
const versionLabel = "org.opencontainers.image.version";

/**
 * Asks now and then which image agents are to run, and while idle starts a successor from it. The successor ends this agent when it is
 * ready; when it is not in time, it is removed, and its image is not tried again by this process. Never rejects.
 */
export async function keepUpToDate(options: UpdateOptions): Promise<void> {
  const { clock, log, signal, everyMs = defaults.everyMs } = options;
  const given = new Set<string>();
  while (!signal.aborted) {
    let wanted: string | undefined;
    try {
      wanted = await options.wanted(signal);
      if (wanted !== undefined && !given.has(wanted)) {
        given.add(wanted);
        await updateTo(options, wanted);
      }
    } catch (error) {
      if (signal.aborted) return;
      // A registry that fails may work the next time; all else would end the same way again.
      if (wanted !== undefined && (isEngineError(error, "registry") || isEngineError(error, "registry-busy")))
        given.delete(wanted);
      log.warn({ image: wanted, ...errorFacts(error) }, "not updated: this launch agent stays");
    }
    await clock.sleep(everyMs, signal).catch(() => undefined);
  }
}

async function updateTo(options: UpdateOptions, wanted: string): Promise<void> {
  const { images, own, signal } = options;
  refuseStrangers(own, wanted);
  const image = await images.ensure({ reference: wanted, signal, onProgress: () => {} });
  if (image.id === own.imageId) return;
  refuseDowngrade(own, image, wanted);
  await untilIdle(options);
  options.log.info({ image: wanted }, "updating: starting a successor");
  await tryOut(options, wanted);
}

/** Whoever holds the socket is root on this host: the control plane chooses the version of the agent, not what it is. */
function refuseStrangers(own: OwnContainer, wanted: string): void {
  if (repositoryOf(wanted) === repositoryOf(own.imageReference) && wanted.includes("@sha256:")) return;
  throw new EngineError(
    "failed",
    `${wanted} is no digest of ${repositoryOf(own.imageReference)}, which this agent is of`,
  );
}

function refuseDowngrade(own: OwnContainer, image: Image, wanted: string): void {
  const [now, then] = [own.labels[versionLabel], image.labels[versionLabel]].map(numbersOf);
  if (!now || !then) return;
  const at = now.findIndex((part, index) => part !== (then[index] ?? 0));
  if (at === -1 || now[at] === undefined || now[at] < (then[at] ?? 0)) return;
  throw new EngineError("failed", `${wanted} is older than this agent: to go back, start agents from it yourself`);
}

function numbersOf(version: string | undefined): number[] | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)$/.exec(version ?? "");
  return match ? match.slice(1).map(Number) : undefined;
}

async function untilIdle({ isIdle, clock, signal }: UpdateOptions): Promise<void> {
  while (!isIdle()) await clock.sleep(idlePollMs, signal);
}

/** Rejects with why the successor failed, or when this agent is told to stop: by the successor that takes over, or by somebody else. */
async function tryOut(options: UpdateOptions, image: string): Promise<never> {
  const { engine, replacer, own, clock, signal } = options;
  const trialMs = options.trialMs ?? defaults.trialMs;
  const name = trialName(own.name);
  // Left by an update that broke off.
  await engine.remove(name, signal);
  const environment = { [successionVariable]: own.id };
  const successor = await replacer.copy(own.id, { image, name, environment }, signal);
  const trial = new AbortController();
  try {
    const ends = AbortSignal.any([signal, trial.signal]);
    const ended = engine.wait(successor, ends).then(({ code }) => `its successor ended with code ${code}`);
    const late = clock.sleep(trialMs, ends).then(() => `its successor was not ready within ${trialMs / 1000} s`);
    for (const end of [ended, late]) end.catch(() => {});
    throw new EngineError("failed", await Promise.race([ended, late]));
  } finally {
    trial.abort();
    // By its first name: one that takes over has another by now, and stays.
    await engine.remove(name, new AbortController().signal);
  }
}
