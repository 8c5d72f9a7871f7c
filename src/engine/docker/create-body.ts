import type { ContainerPlan, Workspace } from "../engine.ts";
import { seccompOption } from "./seccomp.ts";

/**
 * What sudo, package managers and servers on low ports need. No NET_RAW, MKNOD or SETFCAP: nothing that reaches outside
 * of the container.
 */
export const standardCapabilities = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
  "AUDIT_WRITE",
] as const;

/** Stands in for root where the isolation does not allow root. */
const unprivilegedId = 65534;

const mebibyte = 1024 * 1024;
const strictTmpfs = {
  "/tmp": `rw,nosuid,nodev,size=${256 * mebibyte},mode=1777`,
  "/run": `rw,nosuid,nodev,noexec,size=${16 * mebibyte},mode=0755,uid=${unprivilegedId},gid=${unprivilegedId}`,
};

/** The body of the engine's create call. A closed shape: what is not here cannot be asked for by any plan. */
export interface CreateBody {
  Image: string;
  Entrypoint?: string[];
  Cmd?: string[];
  Env: string[];
  User?: string;
  WorkingDir: string;
  Hostname?: string;
  Labels: Record<string, string>;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  OpenStdin: boolean;
  StdinOnce: boolean;
  Tty: boolean;
  HostConfig: HostConfig;
}

export interface HostConfig {
  AutoRemove: false;
  Privileged: false;
  Init: true;
  IpcMode: "private";
  CgroupnsMode: "private";
  NetworkMode: string;
  RestartPolicy: { Name: "no" };
  LogConfig: { Type: "none" };
  OomScoreAdj: number;
  Memory: number;
  MemorySwap: number;
  NanoCpus: number;
  PidsLimit: number;
  Ulimits: { Name: string; Soft: number; Hard: number }[];
  CapDrop: ["ALL"];
  CapAdd: string[];
  SecurityOpt: string[];
  ReadonlyRootfs: boolean;
  Tmpfs?: Record<string, string>;
  ExtraHosts?: string[];
  Mounts: VolumeMount[];
}

export interface VolumeMount {
  Type: "volume";
  /** Absent: a new one that goes with the container. */
  Source?: string;
  Target: string;
  ReadOnly: boolean;
  VolumeOptions: {
    NoCopy: boolean;
    Labels?: Record<string, string>;
    DriverConfig?: { Name: "local"; Options: Record<string, string> };
  };
}

/**
 * A container with all its walls. Pure. A `strict` plan has to name its user by number: see `strictUser`.
 * The limits' fractions are cut off, as the engine counts in whole bytes and billionths of a cpu.
 */
export function createBody(plan: ContainerPlan, engine: EngineTraits = { takesSeccomp: true }): CreateBody {
  const user = plan.isolation === "strict" ? strictUser(plan.user) : plan.user;
  return {
    Image: plan.image,
    ...(plan.entrypoint === undefined ? {} : { Entrypoint: plan.entrypoint }),
    ...(plan.command === undefined ? {} : { Cmd: plan.command }),
    Env: Object.entries(plan.environment).map(([name, value]) => `${name}=${value}`),
    ...(user === undefined ? {} : { User: user }),
    WorkingDir: plan.workingDirectory ?? "",
    ...(plan.hostname === undefined || plan.network.mode === "join" ? {} : { Hostname: plan.hostname }),
    Labels: { ...plan.labels },
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    StdinOnce: false,
    Tty: false,
    HostConfig: hostConfig(plan, engine),
  };
}

/** What the engine at hand can be told. */
export interface EngineTraits {
  /** Whether it takes a seccomp profile by value. Where not, the engine's own default stays in force. */
  takesSeccomp: boolean;
}

function hostConfig(plan: ContainerPlan, engine: EngineTraits): HostConfig {
  const strict = plan.isolation === "strict";
  return {
    AutoRemove: false,
    Privileged: false,
    Init: true,
    IpcMode: "private",
    CgroupnsMode: "private",
    NetworkMode: networkMode(plan.network),
    RestartPolicy: { Name: "no" },
    LogConfig: { Type: "none" },
    // Above everything else on the host: when memory is short, a task goes first.
    OomScoreAdj: 500,
    ...limits(plan),
    CapDrop: ["ALL"],
    CapAdd: strict ? [] : [...standardCapabilities],
    SecurityOpt: [...(engine.takesSeccomp ? [seccompOption] : []), ...(strict ? ["no-new-privileges:true"] : [])],
    ReadonlyRootfs: strict,
    ...(strict ? { Tmpfs: strictTmpfs } : {}),
    ...extraHosts(plan),
    Mounts: [...plan.shared.map(sharedMount), ...(plan.workspace === undefined ? [] : [workspaceMount(plan)])].flat(),
  };
}

/** Root becomes nobody; every other user stays. Names are the caller's to resolve: only numbers tell root for sure. */
export function strictUser(user: string | undefined): string {
  const [uid, gid] = (user ?? "").split(":");
  const isRoot = uid === undefined || uid === "" || uid === "root" || Number(uid) === 0;
  return isRoot ? `${unprivilegedId}:${unprivilegedId}` : gid === undefined ? uid : `${uid}:${gid}`;
}

function limits(plan: ContainerPlan): Pick<HostConfig, "Memory" | "MemorySwap" | "NanoCpus" | "PidsLimit" | "Ulimits"> {
  const { memoryBytes, cpus, pids, openFiles } = plan.limits;
  const memory = atLeast(memoryBytes, 6 * mebibyte, "memoryBytes");
  const files = atLeast(openFiles, 1, "openFiles");
  return {
    Memory: memory,
    MemorySwap: memory,
    NanoCpus: atLeast(cpus * 1e9, 1e7, "cpus"),
    PidsLimit: atLeast(pids, 1, "pids"),
    Ulimits: [
      { Name: "nofile", Soft: files, Hard: files },
      { Name: "core", Soft: 0, Hard: 0 },
    ],
  };
}

/** Engines read 0 and less as "no limit": such a number must never reach one. */
function atLeast(value: number, least: number, name: string): number {
  const whole = Math.trunc(value);
  if (!Number.isSafeInteger(whole) || whole < least)
    throw new RangeError(`limit ${name} is ${value}, it must be at least ${name === "cpus" ? least / 1e9 : least}`);
  return whole;
}

function networkMode(network: ContainerPlan["network"]): string {
  if (network.mode === "join") return `container:${network.container}`;
  if (network.mode === "shared") return network.network;
  return network.mode === "none" ? "none" : "bridge";
}

/** A joined container has the names of the one that it joins. */
function extraHosts(plan: ContainerPlan): { ExtraHosts?: string[] } {
  if (plan.network.mode === "join" || plan.localNames === undefined || plan.localNames.length === 0) return {};
  return { ExtraHosts: plan.localNames.map((name) => `${name}:127.0.0.1`) };
}

function sharedMount(shared: { volume: string; path: string }): VolumeMount {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(shared.volume))
    throw new RangeError(`"${shared.volume}" is no name of a volume`);
  return {
    Type: "volume",
    Source: shared.volume,
    Target: shared.path,
    ReadOnly: true,
    VolumeOptions: { NoCopy: true },
  };
}

function workspaceMount(plan: ContainerPlan): VolumeMount[] {
  const { workspace } = plan;
  if (workspace === undefined) return [];
  // Filling it from a directory that the image has, empty and owned, gives it that owner for nothing.
  const options = { NoCopy: workspace.prepared !== true, Labels: { ...plan.labels } };
  const memory = workspace.medium === "memory" ? { DriverConfig: tmpfsDriver(plan, workspace) } : {};
  return [{ Type: "volume", Target: workspace.path, ReadOnly: false, VolumeOptions: { ...options, ...memory } }];
}

function tmpfsDriver(plan: ContainerPlan, workspace: Workspace): { Name: "local"; Options: Record<string, string> } {
  const { uid, gid } = workspaceOwner(plan.isolation, workspace);
  const size = atLeast(workspace.sizeBytes, 4096, "workspace.sizeBytes");
  const o = `size=${size},uid=${uid},gid=${gid},mode=0755,nosuid,nodev`;
  return { Name: "local", Options: { type: "tmpfs", device: "tmpfs", o } };
}

/** Who owns the workspace: root is nobody where the isolation says so. */
export function workspaceOwner(
  isolation: ContainerPlan["isolation"],
  workspace: Workspace,
): { uid: number; gid: number } {
  const { uid, gid } = workspace.owner;
  const numbers = [uid, gid].every((id) => Number.isSafeInteger(id) && id >= 0);
  if (!numbers) throw new RangeError(`workspace owner ${uid}:${gid} is not a pair of ids`);
  return isolation === "strict" && uid === 0 ? { uid: unprivilegedId, gid: unprivilegedId } : { uid, gid };
}
