import { EngineError } from "../engine.ts";

const domain =
  "(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?)";
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const named = new RegExp(
  `^(?<name>(?:${domain}/)?${component}(?:/${component})*)(?::(?<tag>[\\w][\\w.-]{0,127}))?(?:@(?<digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,}))?$`,
);
const imageId = /^(?:sha256:)?[0-9a-f]{12,64}$/;

/** Checked here and not by the engine: a reference becomes part of a path, and `../..` is none of ours to ask for. */
export function checkedReference(reference: string): string {
  if (reference.length <= 1024 && (imageId.test(reference) || named.test(reference))) return reference;
  throw new EngineError(
    "bad-reference",
    `"${reference.slice(0, 200)}" is no name of an image. It must be like debian:12 or registry.example/team/image:tag.`,
  );
}

/** Name and tag (or digest) as the pull call wants them. Without either, the tag is `latest`: else all tags would come. */
export function pullTarget(reference: string): { name: string; tag: string } {
  const match = named.exec(checkedReference(reference))?.groups;
  const name = match?.["name"] ?? reference;
  return { name, tag: match?.["digest"] ?? match?.["tag"] ?? "latest" };
}

/** A container's or volume's id or name as a piece of a path. */
export function checkedName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(name)) return name;
  throw new EngineError("not-found", `"${name.slice(0, 200)}" is no name of a container or volume`);
}
