import { EngineError } from "./engine.ts";

/** A name of an image, whole: what Docker adds to a short one is written out. */
export interface ImageName {
  /** Host, with its port where it has one, in lower case: `docker.io`, `registry.example:5000`. */
  registry: string;
  /** `library/debian` */
  repository: string;
  /** Absent where there is a digest: a digest decides alone, whatever tag stands beside it. */
  tag?: string;
  /** `sha256:…` */
  digest?: string;
}

const host = "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?)";
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const grammar = new RegExp(
  `^(?<name>(?:${host}/)?${component}(?:/${component})*)(?::(?<tag>[\\w][\\w.-]{0,127}))?(?:@(?<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?$`,
);
const longest = 1024;

/** Reads any spelling as Docker does: `debian` is `docker.io/library/debian:latest`. Throws EngineError `bad-reference`. */
export function readImageName(text: string): ImageName {
  const groups = text.length <= longest ? grammar.exec(text)?.groups : undefined;
  // Docker takes such a name for an image's id.
  if (!groups?.["name"] || /^[0-9a-f]{64}$/.test(text) || text.startsWith("sha256:")) throw badName(text);
  const { tag, digest } = groups;
  const place = placeOf(groups["name"]);
  if (digest !== undefined) return { ...place, digest };
  return { ...place, tag: tag ?? "latest" };
}

/** One spelling for each name: `docker.io/library/debian:12`, `registry.example:5000/team/app@sha256:…`. */
export function fullName(name: ImageName): string {
  return `${repositoryName(name)}${name.digest === undefined ? `:${name.tag ?? "latest"}` : `@${name.digest}`}`;
}

/** Without tag and digest. */
export function repositoryName({ registry, repository }: Pick<ImageName, "registry" | "repository">): string {
  return `${registry}/${repository}`;
}

/** Parts a name without tag into host and repository, by Docker's rule: a first part with a dot, a port or `localhost` is a host. */
export function placeOf(name: string): { registry: string; repository: string } {
  const at = name.indexOf("/");
  const first = name.slice(0, Math.max(0, at));
  const isHost = at > 0 && (/[.:A-Z]/.test(first) || first === "localhost");
  const registry = isHost ? hubName(first.toLowerCase()) : "docker.io";
  const rest = isHost ? name.slice(at + 1) : name;
  return { registry, repository: registry === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest };
}

/** The one host that Docker itself takes for another. */
export function hubName(registry: string): string {
  return registry === "index.docker.io" ? "docker.io" : registry;
}

function badName(text: string): EngineError {
  return new EngineError(
    "bad-reference",
    `"${text.slice(0, 200)}" is no name of an image. It must be like debian:12 or registry.example/team/image:tag.`,
  );
}
