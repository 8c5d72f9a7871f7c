import type { EngineInfo } from "../engine.ts";
import { checked, InfoAnswer } from "./answers.ts";
import type { Client } from "./client.ts";

export async function engineInfo(client: Client, signal: AbortSignal): Promise<EngineInfo> {
  const what = "ask what the engine is";
  const { transport, dialect, version } = await client.freshSession(signal);
  const info = checked(InfoAnswer, await transport.json({ method: "GET", path: "/info", what, signal }), what);
  return {
    kind: dialect.kind,
    version: version.Version,
    apiVersion: version.ApiVersion,
    architecture: version.Arch,
    cpus: info.NCPU,
    memoryBytes: info.MemTotal,
    cgroupVersion: info.CgroupVersion === "2" ? 2 : 1,
    runtimes: Object.keys(info.Runtimes ?? {}),
    ...(info.DockerRootDir ? { dataDirectory: info.DockerRootDir } : {}),
  };
}
