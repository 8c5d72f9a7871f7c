import type { EngineInfo, Image } from "../../engine/engine.ts";
import type { ContainerSpec, Limits } from "../../protocol/task.ts";

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** 1610612736 → `1.5 GiB`. */
export function bytesInWords(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

export function agentInWords(agent: { name: string; hostname: string; version: string }, engine: EngineInfo): string {
  return `Launch agent ${agent.name} ${agent.version} on ${agent.hostname}, ${engine.kind} ${engine.version}`;
}

export function imageInWords(reference: string, image: Image): string {
  return `Image ${reference}, ${shortId(image.id)}, ${image.architecture}`;
}

export function classInWords(spec: ContainerSpec): string {
  return `Resource class ${spec.resourceClass}: ${limitsInWords(spec.limits)}`;
}

export function isolationInWords(spec: ContainerSpec, path: string): string {
  const { workspaceBytes, workspaceMedium } = spec.limits;
  const network = spec.network.mode === "none" ? "no network" : "network: outgoing";
  return (
    `Isolation ${spec.isolation}, ${network}; workspace ${path}, ` +
    `${bytesInWords(workspaceBytes)} ${workspaceMedium === "memory" ? "in memory" : "on disk"}`
  );
}

function limitsInWords(limits: Limits): string {
  const cores = limits.cpus === 1 ? "1 core" : `${limits.cpus} cores`;
  return `${bytesInWords(limits.memoryBytes)} memory, ${cores}, ${limits.pids} processes, ${limits.openFiles} open files`;
}

/** The twelve characters by which engines show what has a digest. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}

/** The end of what a process wrote, on one line, without what could upset a terminal. */
export function tailInWords(bytes: Buffer): string {
  const text = bytes
    .toString("utf8")
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return text.length > 500 ? `…${text.slice(-500)}` : text;
}
