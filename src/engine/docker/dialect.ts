import { EngineError } from "../engine.ts";
import type { VersionAnswer } from "./answers.ts";

/** Oldest API that we speak: Docker 20.10 and Podman 4 have it. */
const oldestApi = { major: 1, minor: 41 };

/** All that differs between the engines that we speak to. */
export interface Dialect {
  kind: "docker" | "podman";
  /** For the path: `v1.41`. */
  apiVersion: string;
  /** Whether the create call makes volumes, with labels and options, and fills them from the image. Where not: see podman.ts. */
  createMakesVolumes: boolean;
  /** Whether a seccomp profile may come with the create call. Podman takes the path of a file on its machine only. */
  takesSeccomp: boolean;
  /** Whether it looks an image up in its registry without pulling it. */
  asksRegistries: boolean;
  /** What a kill of a container that does not run is answered with. */
  notRunningStatuses: readonly number[];
}

/** Speaks the oldest API that both know. EngineError `too-old` where that is none. */
export function dialectOf(version: VersionAnswer, address: string): Dialect {
  const server = parseVersion(version.ApiVersion);
  if (!atLeast(server, oldestApi)) {
    const message = `the engine at ${address} (${version.Version}) speaks API ${version.ApiVersion}. Cofferdam needs 1.41: Docker 20.10 or Podman 4, or newer.`;
    throw new EngineError("too-old", message);
  }
  const minimum = parseVersion(version.MinAPIVersion ?? "1.12");
  const spoken = atLeast(minimum, oldestApi) ? minimum : oldestApi;
  const podman = (version.Components ?? []).some((component) => component.Name === "Podman Engine");
  return {
    kind: podman ? "podman" : "docker",
    apiVersion: `v${spoken.major}.${spoken.minor}`,
    createMakesVolumes: !podman,
    takesSeccomp: !podman,
    asksRegistries: !podman,
    notRunningStatuses: podman ? [404, 409, 500] : [404, 409],
  };
}

/** Podman's older compat answers leave the prefix away. */
export function imageIdOf(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `sha256:${id}` : id;
}

interface ApiVersion {
  major: number;
  minor: number;
}

function parseVersion(text: string): ApiVersion {
  const [major, minor] = text.split(".").map(Number);
  return { major: major ?? 0, minor: minor ?? 0 };
}

function atLeast(version: ApiVersion, least: ApiVersion): boolean {
  return version.major > least.major || (version.major === least.major && version.minor >= least.minor);
}
