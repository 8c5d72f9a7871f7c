import { posix } from "node:path";
import { type ContainerPlan, EngineError, isEngineError } from "../engine.ts";
import { checked, MountsAnswer, VolumeAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { type CreateBody, type HostConfig, type VolumeMount, workspaceOwner } from "./create-body.ts";
import { checkedName } from "./reference.ts";
import { parseJson } from "./transport.ts";

/**
 * What Podman's compatible calls want otherwise than Docker's. Seen on 4.3.1, by its source: of a volume in `Mounts` it drops labels, options
 * and `NoCopy`, so volumes are made before their containers and come in by `Binds`; limits that a call does not name it sets to a million.
 */

/** The least that kernels have for pid_max: within what Podman may give where its root has no CAP_SYS_RESOURCE. */
const processesOfUser = 32_768;
const mebibyte = 1024 * 1024;
const pageBytes = 4096;
const workspaceSuffix = ".workspace";

/** What strict containers can write to. Podman knows no owner of a tmpfs, and adds /var/tmp to every read-only root. */
const strictTmpfs = {
  "/tmp": `rw,nosuid,nodev,notmpcopyup,size=${256 * mebibyte},mode=1777`,
  "/var/tmp": `rw,nosuid,nodev,notmpcopyup,size=${16 * mebibyte},mode=1777`,
  "/run": `rw,nosuid,nodev,noexec,notmpcopyup,size=${16 * mebibyte},mode=1777`,
};

/** The same container, said for Podman. */
export function podmanBody(plan: ContainerPlan, body: CreateBody): object {
  const { Mounts, Tmpfs, ...rest } = body.HostConfig;
  return {
    ...body,
    HostConfig: {
      ...rest,
      ...(Tmpfs === undefined ? {} : { Tmpfs: strictTmpfs }),
      Ulimits: podmanUlimits(rest.Ulimits),
      Binds: Mounts.map((mount) => bindOf(mount, workspaceVolume(plan.name))),
    },
  };
}

/** With those that Podman would else set higher than it may. */
function podmanUlimits(ulimits: HostConfig["Ulimits"]): HostConfig["Ulimits"] {
  return [...ulimits, { Name: "nproc", Soft: processesOfUser, Hard: processesOfUser }];
}

/** Of containers of our own. */
export const helperUlimits = podmanUlimits([{ Name: "nofile", Soft: 1024, Hard: 1024 }]);

/** A named volume on a path. `copy`: with the image's files, at the first start. */
export function bindOf(
  { Source, Target, ReadOnly }: VolumeMount,
  workspace: string,
  files: "copy" | "nocopy" = "nocopy",
): string {
  if (Target.includes(":")) throw new RangeError(`"${Target}" has a colon: Podman mounts nothing there`);
  return `${Source ?? workspace}:${posix.normalize(Target)}:${ReadOnly ? "ro" : "rw"},${files}`;
}

/** The workspace of the container of this name. */
export function workspaceVolume(container: string): string {
  return `${container}${workspaceSuffix}`;
}

/** Makes the workspace of a container that is made next: new, empty, its owner's. `conflict` where a container of that name has one. */
export async function createWorkspaceVolume(client: Client, plan: ContainerPlan, signal: AbortSignal): Promise<void> {
  const { workspace } = plan;
  if (workspace === undefined) return;
  const name = workspaceVolume(plan.name);
  // Else Podman would give us what somebody left there.
  if (!(await removeVolumeUnlessUsed(client, name, signal)))
    throw new EngineError("conflict", `volume ${name} is in use by another container`);
  const { uid, gid } = workspaceOwner(plan.isolation, workspace);
  const owner = `uid=${uid},gid=${gid}`;
  // `size` would ask for a quota of the file system.
  const blocks = Math.ceil(workspace.sizeBytes / pageBytes);
  const memory = { type: "tmpfs", device: "tmpfs", o: `${owner},nr_blocks=${blocks},mode=0755,nosuid,nodev` };
  const options = workspace.medium === "memory" ? memory : { o: owner };
  await createVolume(client, { name, labels: plan.labels, options }, signal);
}

export interface NewVolume {
  name: string;
  labels: Readonly<Record<string, string>>;
  options?: Record<string, string>;
}

/** Podman answers with what is there already as if it were new: only a label of one's own tells. */
export async function createVolume(client: Client, volume: NewVolume, signal: AbortSignal): Promise<void> {
  const what = `make volume ${volume.name}`;
  const body = { Name: volume.name, Driver: "local", Labels: { ...volume.labels }, DriverOpts: volume.options ?? {} };
  checked(VolumeAnswer, await client.json({ method: "POST", path: "/volumes/create", body, what, signal }), what);
}

/** Podman fills volumes when it starts their container: before it finds that there is no such command in it. */
export async function fillByStart(client: Client, container: string, signal: AbortSignal): Promise<void> {
  const what = `fill the volume of container ${container}`;
  const request = { method: "POST", path: `/containers/${container}/start`, what, signal } as const;
  try {
    await client.call({ ...request, timeoutMs: client.longCallTimeoutMs, situation: "start" });
  } catch (error) {
    if (!isEngineError(error, "not-startable")) throw error;
    return;
  }
  throw new EngineError("failed", `${what}: it started, and has no command`);
}

/** Removes the workspace of a container that was not made. */
export async function removeWorkspaceVolume(client: Client, container: string, signal: AbortSignal): Promise<void> {
  await removeVolumeUnlessUsed(client, workspaceVolume(container), signal);
}

/** False where a container has it. What is gone is fine. */
export async function removeVolumeUnlessUsed(client: Client, name: string, signal: AbortSignal): Promise<boolean> {
  const path = `/volumes/${checkedName(name)}`;
  const answer = await client.call({ method: "DELETE", path, what: `remove volume ${name}`, signal }, [404, 409]);
  return answer.status !== 409;
}

/** The workspaces of a container; by its name also where it is gone. */
export async function podmanWorkspaces(client: Client, id: string, signal: AbortSignal): Promise<string[]> {
  const what = `look for the workspace of container ${id}`;
  const path = `/containers/${checkedName(id)}/json`;
  const answer = await client.call({ method: "GET", path, what, signal }, [404]);
  if (answer.status === 404) return /^[0-9a-f]{64}$/.test(id) ? [] : [workspaceVolume(id)];
  const { Mounts } = checked(MountsAnswer, parseJson(answer.body, what), what);
  return Mounts.flatMap(({ Name }) => (Name?.endsWith(workspaceSuffix) ? [Name] : []));
}
