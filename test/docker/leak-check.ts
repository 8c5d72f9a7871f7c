import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { addressUnderTest } from "./engine-under-test.ts";

/** What a suite may leave behind by mistake. Each a name that tells a person what it is. */
export interface Snapshot {
  containers: string[];
  networks: string[];
  volumes: string[];
  /** Entries of the given directories. */
  files: string[];
  /** Processes that match the given pattern, as `pid command line`. */
  processes: string[];
  scope: SnapshotScope;
}

export interface SnapshotScope {
  directories?: readonly string[];
  processes?: RegExp;
}

/**
 * What lives on between runs on purpose: the shared volumes of the task agent, and the containers that say they are whole. And the
 * network that sandboxes share, which other agents of the engine may be using.
 */
const keptRole = { label: "dev.cofferdam.role", value: "shared" };
/** Engines and dying processes take a moment to be done. */
const graceMs = 10_000;

export async function takeSnapshot(scope: SnapshotScope = {}): Promise<Snapshot> {
  const [containers, networks, volumes, files, processes] = await Promise.all([
    listContainers(),
    listNetworks(),
    listVolumes(),
    listFiles(scope.directories ?? []),
    listProcesses(scope.processes),
  ]);
  return { containers, networks, volumes, files, processes, scope };
}

/** Throws with the list of everything that is there now and was not before. */
export async function assertNoLeaks(before: Snapshot): Promise<void> {
  const giveUpAt = performance.now() + graceMs;
  let left = leaks(before, await takeSnapshot(before.scope));
  while (left.length > 0 && performance.now() < giveUpAt) {
    await sleep(200);
    left = leaks(before, await takeSnapshot(before.scope));
  }
  if (left.length > 0) throw new Error(`The tests left behind:\n${left.map((line) => `  ${line}`).join("\n")}`);
}

export function leaks(before: Snapshot, after: Snapshot): string[] {
  const kinds = ["containers", "networks", "volumes", "files", "processes"] as const;
  return kinds.flatMap((kind) => {
    const known = new Set(before[kind]);
    return after[kind].filter((entry) => !known.has(entry)).map((entry) => `${kind.slice(0, -1)} ${entry}`);
  });
}

async function listContainers(): Promise<string[]> {
  const list = await (await dockerode()).listContainers({ all: true });
  return list
    .filter((container) => isOurs(container.Labels))
    .map((container) => `${container.Id.slice(0, 12)} ${container.Names.join(" ")}`);
}

async function listNetworks(): Promise<string[]> {
  const list = await (await dockerode()).listNetworks();
  return list
    .filter(({ Labels }) => isOurs(Labels ?? null))
    .map((network) => `${network.Id.slice(0, 12)} ${network.Name}`);
}

async function listVolumes(): Promise<string[]> {
  const { Volumes } = await (await dockerode()).listVolumes();
  // The typings promise a list; an engine without volumes answers null.
  const volumes: typeof Volumes | null = Volumes;
  return (volumes ?? []).filter((volume) => isOurs(volume.Labels)).map((volume) => volume.Name);
}

function isOurs(labels: Record<string, string> | null): boolean {
  return labels?.[keptRole.label] !== keptRole.value;
}

async function listFiles(directories: readonly string[]): Promise<string[]> {
  const lists = directories.map(async (directory) => {
    const names = await readdir(directory).catch(() => []);
    return names.map((name) => `${directory}/${name}`);
  });
  return (await Promise.all(lists)).flat();
}

async function listProcesses(pattern: RegExp | undefined): Promise<string[]> {
  if (pattern === undefined) return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = pids.map(async (pid) => {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const executable = await readlink(`/proc/${pid}/exe`).catch(() => "");
    return `${pid} ${command.replaceAll("\0", " ").trim() || executable}`;
  });
  return (await Promise.all(lines)).filter((line) => pattern.test(line));
}

/** Not through src/engine: a check must not share the faults of what it checks. */
export async function dockerode(): Promise<Docker> {
  const address = await addressUnderTest();
  return new Docker(
    address.kind === "socket" ? { socketPath: address.path } : { host: address.host, port: address.port },
  );
}
