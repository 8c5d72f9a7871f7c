import type { OwnedObject } from "../engine.ts";
import { ContainerListAnswer, checked, VolumeListAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { checkedName } from "./reference.ts";
import { removeContainer } from "./remove.ts";

/** Everything that carries all these labels. Asked of the engine and checked here: engines differ in how they join filters. */
export async function listOwned(
  client: Client,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<OwnedObject[]> {
  const filters = JSON.stringify(labelFilter(labels));
  const [containers, volumes] = await Promise.all([
    listContainers(client, filters, signal),
    listVolumes(client, filters, signal),
  ]);
  return [...containers, ...volumes].filter((object) => hasAll(object.labels, labels));
}

/** Names of the containers that are paused, of those that carry all these labels. */
export async function listPaused(
  client: Client,
  labels: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string[]> {
  const status = ["paused"];
  const found = await askForContainers(client, JSON.stringify({ status, ...labelFilter(labels) }), signal);
  return found
    .filter(({ State, Labels }) => State === "paused" && hasAll(Labels, labels))
    .flatMap(({ Names }) => Names.map((name) => name.replace(/^\//, "")));
}

async function listContainers(client: Client, filters: string, signal: AbortSignal): Promise<OwnedObject[]> {
  return (await askForContainers(client, filters, signal)).map((container) => ({
    kind: "container",
    id: container.Id,
    labels: container.Labels,
    running: ["running", "paused", "restarting"].includes(container.State),
  }));
}

async function askForContainers(client: Client, filters: string, signal: AbortSignal) {
  const what = "list containers";
  const query = { all: "1", filters };
  const answer = await client.json({ method: "GET", path: "/containers/json", query, what, signal });
  return checked(ContainerListAnswer, answer, what);
}

function labelFilter(labels: Readonly<Record<string, string>>): { label: string[] } {
  return { label: Object.entries(labels).map(([name, value]) => `${name}=${value}`) };
}

function hasAll(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

async function listVolumes(client: Client, filters: string, signal: AbortSignal): Promise<OwnedObject[]> {
  const what = "list volumes";
  const answer = await client.json({ method: "GET", path: "/volumes", query: { filters }, what, signal });
  return checked(VolumeListAnswer, answer, what).Volumes.map((volume) => ({
    kind: "volume",
    id: volume.Name,
    labels: volume.Labels,
    running: false,
  }));
}

export async function removeOwned(client: Client, object: OwnedObject, signal: AbortSignal): Promise<void> {
  if (object.kind === "container") await removeContainer(client, object.id, signal);
  else await removeVolume(client, object.id, signal);
}

/** EngineError `conflict` while a container has it mounted. */
export async function removeVolume(client: Client, name: string, signal: AbortSignal): Promise<void> {
  const path = `/volumes/${checkedName(name)}`;
  await client.call({ method: "DELETE", path, what: `remove volume ${name}`, signal }, [404]);
}
