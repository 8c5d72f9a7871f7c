import { z } from "zod";
import type { Component, HostFacts } from "../fitness/facts.ts";
import type { EngineAddress } from "./address.ts";
import { checked } from "./answers.ts";
import { Client } from "./client.ts";

const words = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);

const VersionFacts = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  Components: z
    .array(
      z.object({
        Name: z.string(),
        Version: z.string(),
        Details: z.object({ GitCommit: z.string().optional() }).nullish(),
      }),
    )
    .nullish(),
});

const flag = z.boolean().default(false);
const InfoFacts = z.object({
  OperatingSystem: z.string().default(""),
  KernelVersion: z.string().default(""),
  Architecture: z.string().default(""),
  NCPU: z.int(),
  MemTotal: z.int(),
  CgroupVersion: z.string().optional(),
  MemoryLimit: flag,
  SwapLimit: flag,
  CpuCfsQuota: flag,
  PidsLimit: flag,
  Driver: z.string().default(""),
  DriverStatus: z.array(z.array(z.string())).nullish(),
  DockerRootDir: z.string().default(""),
  SecurityOptions: words,
  Plugins: z.object({ Authorization: words }).nullish(),
  LiveRestoreEnabled: flag,
  Swarm: z.object({ LocalNodeState: z.string().optional() }).nullish(),
  DefaultRuntime: z.string().default(""),
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  SystemTime: z.string().optional(),
  Warnings: words,
});

/** Asks an engine about itself and its host. Rejects with EngineError. */
export async function readHostFacts(address: EngineAddress, signal: AbortSignal): Promise<HostFacts> {
  const client = new Client({ address, callTimeoutMs: 30_000 });
  const what = "ask what the engine is";
  const [{ dialect }, versionAnswer, infoAnswer] = await Promise.all([
    client.session(signal),
    client.json({ method: "GET", path: "/version", what, signal }),
    client.json({ method: "GET", path: "/info", what, signal }),
  ]);
  const version = checked(VersionFacts, versionAnswer, what);
  const info = checked(InfoFacts, infoAnswer, what);
  const clockMs = Date.parse(info.SystemTime ?? "");
  return {
    kind: dialect.kind,
    version: version.Version,
    apiVersion: version.ApiVersion,
    components: componentsOf(version),
    operatingSystem: info.OperatingSystem,
    kernel: info.KernelVersion,
    architecture: info.Architecture,
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
    limits: { memory: info.MemoryLimit, swap: info.SwapLimit, cpu: info.CpuCfsQuota, pids: info.PidsLimit },
    storageDriver: info.Driver,
    backingFilesystem: info.DriverStatus?.find(([name]) => name === "Backing Filesystem")?.[1] ?? "",
    dataRoot: info.DockerRootDir,
    ...securityOf(info.SecurityOptions),
    authorizationPlugins: info.Plugins?.Authorization ?? [],
    liveRestore: info.LiveRestoreEnabled,
    swarm: info.Swarm?.LocalNodeState === "active",
    defaultRuntime: info.DefaultRuntime,
    runtimes: Object.keys(info.Runtimes ?? {}),
    clockMs: Number.isNaN(clockMs) ? undefined : clockMs,
    warnings: info.Warnings,
  };
}

function componentsOf(version: z.infer<typeof VersionFacts>): Component[] {
  return (version.Components ?? []).map(({ Name, Version, Details }) => ({
    name: Name,
    version: Version,
    revision: Details?.GitCommit ?? "",
  }));
}

/** The engine's words are `name=seccomp,profile=default`; Podman's older ones are bare names. */
function securityOf(options: readonly string[]): Pick<HostFacts, "securityOptions" | "seccompProfile"> {
  const parsed = options.map((option) => {
    const pairs = option.split(",").map((pair) => pair.split("="));
    const value = (name: string): string | undefined => pairs.find(([key]) => key === name)?.[1];
    return { name: value("name") ?? option, profile: value("profile") ?? "" };
  });
  return {
    securityOptions: parsed.map(({ name }) => name),
    seccompProfile: parsed.find(({ name }) => name === "seccomp")?.profile ?? "",
  };
}
