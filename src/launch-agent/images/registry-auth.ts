import { z } from "zod";
import { hubName, type ImageName, repositoryName } from "../../engine/image-name.ts";

export interface RegistryCredentials {
  username: string;
  password: string;
}

const Entry = z.object({
  /** `user:password` in base64. */
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
const DockerConfig = z.object({
  auths: z.record(z.string(), Entry).default({}),
  credsStore: z.unknown().optional(),
  credHelpers: z.unknown().optional(),
});

/** The agent's own credentials, by registry. Does not print itself: what it holds are secrets. */
export class RegistryAuth {
  readonly #entries: readonly (readonly [place: string, credentials: RegistryCredentials])[];

  constructor(entries: readonly (readonly [string, RegistryCredentials])[]) {
    // The closest place first.
    this.#entries = entries.toSorted(([a], [b]) => b.length - a.length);
  }

  /** What to show the registry of this image; undefined: nothing. */
  find(name: ImageName): RegistryCredentials | undefined {
    const place = `${repositoryName(name)}/`;
    return this.#entries.find(([prefix]) => place.startsWith(`${prefix}/`))?.[1];
  }
}

/**
 * Reads `DOCKER_AUTH_CONFIG`: the text of Docker's config.json, of which `auths` counts. Its keys are hosts, also in Docker's old
 * form with scheme and version, or a host with the beginning of a path. The problem never repeats what it read.
 */
export function readDockerAuthConfig(text: string): { auth: RegistryAuth } | { problem: string } {
  const config = DockerConfig.safeParse(parseJson(text));
  if (!config.success) return { problem: 'is not the text of a Docker config.json: {"auths":{"HOST":{"auth":"…"}}}' };
  const { auths, credHelpers, credsStore } = config.data;
  if (credHelpers !== undefined || credsStore !== undefined)
    return { problem: "names credential helpers, which cannot be run here: put the credentials into `auths`" };
  const entries: [string, RegistryCredentials][] = [];
  for (const [key, entry] of Object.entries(auths)) {
    const credentials = credentialsOf(entry);
    if (!credentials) return { problem: `has no user name and password for ${key}: give it \`auth\`` };
    entries.push([placeOfKey(key), credentials]);
  }
  return { auth: new RegistryAuth(entries) };
}

function credentialsOf(entry: z.infer<typeof Entry>): RegistryCredentials | undefined {
  if (entry.username && entry.password) return { username: entry.username, password: entry.password };
  const [, username, password] =
    /^([^:]+):(.+)$/s.exec(
      Buffer.from(entry.auth ?? "", "base64")
        .toString("utf8")
        .replace(/\0+$/, ""),
    ) ?? [];
  return username && password ? { username, password } : undefined;
}

/** `https://index.docker.io/v1/` is how Docker calls its own registry. */
function placeOfKey(key: string): string {
  const [host = "", ...path] = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "")
    .split("/");
  return [hubName(host.toLowerCase()), ...path].join("/");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
