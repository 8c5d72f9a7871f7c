import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { ContainerPlan, Engine } from "../engine.ts";
import { Accounts } from "./account.ts";
import type { EngineAddress } from "./address.ts";
import { Client } from "./client.ts";
import { attachContainer, inspectContainer, killContainer, startContainer, waitContainer } from "./container.ts";
import { Creator } from "./creator.ts";
import { withDeadline } from "./deadline.ts";
import { runHelper } from "./helper.ts";
import { findImage } from "./image.ts";
import { listImages, removeImage, tagImage } from "./images.ts";
import { engineInfo } from "./info.ts";
import { listOwned, listPaused, removeOwned } from "./inventory.ts";
import { ensureNetwork, removeNetwork } from "./network.ts";
import { checkAccess, pullImage } from "./pull.ts";
import { ensureFilledVolume } from "./shared-volume.ts";

export { describeAddress, type EngineAddress, engineAddresses } from "./address.ts";
export { readHostFacts } from "./facts.ts";

export interface DockerEngineOptions {
  address: EngineAddress;
  /** Deadline of a plain call. Calls that make or remove things have four times as long. */
  callTimeoutMs?: number;
  /** A pull of which nothing was heard for so long is given up. */
  pullSilenceMs?: number;
  /** On the short-lived containers that the engine makes for itself, so that a sweep finds what a crash left. */
  helperLabels?: Labels | (() => Labels);
  clock?: Clock;
  newId?: () => string;
}

type Labels = Readonly<Record<string, string>>;

/** The engine behind a Docker API ≥ 1.41. Opens no connection before the first call. */
export function createDockerEngine(options: DockerEngineOptions): Engine {
  const client = new Client({ address: options.address, callTimeoutMs: options.callTimeoutMs ?? 30_000 });
  const clock = options.clock ?? systemClock;
  const newId = options.newId ?? randomUUID;
  const puller = { client, clock, silenceMs: options.pullSilenceMs ?? 120_000 };
  const helperLabels = labelsOf(options.helperLabels);
  const accounts = new Accounts({ client, newId, labels: helperLabels });
  const creator = new Creator({ client, accounts, helperLabels });
  return {
    info: async (signal) => await engineInfo(client, signal),
    image: async (reference, signal) => await findImage(client, reference, signal),
    account: async (image, user, signal) =>
      await heeding(signal, "read the users of an image", () => accounts.find(image, user, signal)),
    pull: async (reference, pull) => await pullImage(puller, reference, pull),
    checkAccess: async (reference, access) => await checkAccess(puller, reference, access),
    images: async (signal) => await listImages(client, signal),
    tagImage: async (id, name, signal) => await tagImage(client, id, name, signal),
    removeImage: async (name, signal) => await removeImage(client, name, signal),
    ensureSharedVolume: async (volume, signal) =>
      await heeding(signal, `fill volume ${volume.name}`, () =>
        ensureFilledVolume({ client, clock, newId, volume, signal }),
      ),
    ensureNetwork: async (network, signal) => await ensureNetwork(client, network, signal),
    removeNetwork: async (id, signal) => await removeNetwork(client, id, signal),
    runHelper: async (plan, signal) => await heeding(signal, `run ${plan.name}`, () => runHelper(client, plan, signal)),
    create: async (plan: ContainerPlan, signal) => await creator.create(plan, signal),
    attach: async (id, signal) => await attachContainer(client, id, signal),
    start: async (id, signal) => await startContainer(client, id, signal),
    wait: async (id, signal) => await waitContainer(client, id, signal),
    inspect: async (id, signal) => await inspectContainer(client, id, signal),
    kill: async (id, signal) => await killContainer(client, id, signal),
    remove: async (id, signal) => await creator.remove(id, signal),
    list: async (labels, signal) => await listOwned(client, labels, signal),
    paused: async (labels, signal) => await listPaused(client, labels, signal),
    removeObject: async (object, signal) => await removeOwned(client, object, signal),
  };
}

function labelsOf(given: DockerEngineOptions["helperLabels"]): () => Labels {
  return typeof given === "function" ? given : () => given ?? {};
}

/** For what takes several calls: the caller is let go at once, and what has to be cleaned up is cleaned up behind it. */
async function heeding<T>(signal: AbortSignal, what: string, work: () => Promise<T>): Promise<T> {
  return await withDeadline({ signal, timeoutMs: undefined, what }, work);
}
