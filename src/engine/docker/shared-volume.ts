import type { Clock } from "../../lib/clock.ts";
import { EngineError, isEngineError, type SharedVolume } from "../engine.ts";
import { ContainerListAnswer, CreatedAnswer, checked, InspectAnswer, VolumeAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { removeVolume } from "./inventory.ts";
import { bindOf, createVolume, fillByStart, helperUlimits } from "./podman.ts";
import { checkedName } from "./reference.ts";
import { removeContainer } from "./remove.ts";
import { parseJson } from "./transport.ts";

/**
 * A volume with an image's content that nobody ever takes for whole while it is not.
 *
 * A container that never starts, named like the volume, says that the volume is whole, and keeps it from being pruned.
 * Whoever finds none makes a container named `<volume>.fill` with the volume mounted: the name is the lock, and making it
 * is what has the engine copy. Only when the volume carries this filler's own mark (so it was new, and nobody else wrote
 * to it) is the container renamed to the volume's name, in one step. A filler that died leaves a `.fill` behind: others
 * take it away once it has stood there finished and not renamed, and begin anew with an empty volume.
 */
export interface FillOptions {
  client: Client;
  clock: Clock;
  newId: () => string;
  volume: SharedVolume;
  signal: AbortSignal;
}

const fillMark = "dev.cofferdam.fill";
const pollMs = 100;
/** A living filler renames within milliseconds after its container can be seen. */
const abandonedMs = 10_000;
const patienceMs = 10 * 60_000;

export async function ensureFilledVolume(options: FillOptions): Promise<void> {
  const { client, clock, volume, signal } = options;
  checkedName(volume.name);
  const giveUpAt = clock.monotonic() + patienceMs;
  let seen: { id: string; since: number } | undefined;
  while (!(await isFilled(options))) {
    if (clock.monotonic() > giveUpAt)
      throw new EngineError("failed", `fill volume ${volume.name}: others never finished it`);
    if ((await tryFill(options)) === "filled") return;
    const filler = await findContainer(client, lockName(volume), signal);
    if (filler === undefined || filler !== seen?.id) {
      seen = filler === undefined ? undefined : { id: filler, since: clock.monotonic() };
    } else if (clock.monotonic() - seen.since > abandonedMs) {
      await removeContainer(client, filler, signal);
      continue;
    }
    await clock.sleep(pollMs, signal);
  }
}

async function isFilled({ client, volume, signal }: FillOptions): Promise<boolean> {
  return (await findContainer(client, volume.name, signal)) !== undefined;
}

/** `busy`: somebody else is at it, or the volume had to be taken away first. */
async function tryFill(options: FillOptions): Promise<"filled" | "busy"> {
  const { client, volume } = options;
  const mark = options.newId();
  let filler: string;
  try {
    filler = await createFiller(options, mark);
  } catch (error) {
    if (isEngineError(error, "conflict")) return "busy";
    throw error;
  }
  // From here on not the caller's signal: a half-done fill costs others ten seconds.
  const signal = new AbortController().signal;
  try {
    if ((await markOf(client, volume, signal)) === mark) {
      const { dialect } = await client.session(signal);
      if (!dialect.createMakesVolumes) await fillByStart(client, filler, signal);
    } else if (!(await isUsedByOthers(options, filler))) {
      await removeContainer(client, filler, signal);
      await removeVolume(client, volume.name, signal);
      return "busy";
    }
    await rename(client, filler, volume.name);
    return "filled";
  } catch (error) {
    const removal = removeContainer(client, filler, signal);
    if (!isEngineError(error, "conflict") && !isEngineError(error, "not-found")) {
      removal.catch(() => {});
      throw error;
    }
    await removal;
    return "busy";
  }
}

/** An old volume without its sign is whole all the same where tasks have it mounted: they came after the sign. */
async function isUsedByOthers({ client, volume, signal }: FillOptions, filler: string): Promise<boolean> {
  const what = `list users of volume ${volume.name}`;
  const query = { all: "1", filters: JSON.stringify({ volume: [volume.name] }) };
  const answer = await client.json({ method: "GET", path: "/containers/json", query, what, signal });
  return checked(ContainerListAnswer, answer, what).some((container) => container.Id !== filler);
}

async function createFiller(options: FillOptions, mark: string): Promise<string> {
  const { client, volume, signal } = options;
  const { dialect } = await client.session(signal);
  const what = `fill volume ${volume.name}`;
  const labels = { ...volume.labels };
  const marked = { ...labels, [fillMark]: mark };
  if (!dialect.createMakesVolumes) await createVolume(client, { name: volume.name, labels: marked }, signal);
  const mount = {
    Type: "volume",
    Source: volume.name,
    Target: volume.path,
    ReadOnly: false,
    VolumeOptions: { NoCopy: false, Labels: marked },
  } as const;
  const body = {
    Image: volume.image,
    Entrypoint: ["/nothing"],
    Labels: labels,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: "none",
      CapDrop: ["ALL"],
      LogConfig: { Type: "none" },
      ...(dialect.createMakesVolumes
        ? { Mounts: [mount] }
        : { Binds: [bindOf(mount, volume.name, "copy")], Ulimits: helperUlimits }),
    },
  };
  const query = { name: lockName(volume) };
  const request = { method: "POST", path: "/containers/create", query, body, what, signal } as const;
  return checked(CreatedAnswer, await client.json({ ...request, timeoutMs: client.longCallTimeoutMs }), what).Id;
}

async function markOf(client: Client, volume: SharedVolume, signal: AbortSignal): Promise<string | undefined> {
  const what = `look at volume ${volume.name}`;
  const answer = await client.json({ method: "GET", path: `/volumes/${volume.name}`, what, signal });
  return checked(VolumeAnswer, answer, what).Labels[fillMark];
}

async function findContainer(client: Client, name: string, signal: AbortSignal): Promise<string | undefined> {
  const what = `look for container ${name}`;
  const answer = await client.call({ method: "GET", path: `/containers/${name}/json`, what, signal }, [404]);
  return answer.status === 404 ? undefined : checked(InspectAnswer, parseJson(answer.body, what), what).Id;
}

async function rename(client: Client, id: string, name: string): Promise<void> {
  const signal = new AbortController().signal;
  const what = `mark volume ${name} as filled`;
  await client.call({ method: "POST", path: `/containers/${id}/rename`, query: { name }, what, signal });
}

function lockName(volume: SharedVolume): string {
  return `${volume.name}.fill`;
}
