import { EngineError } from "../engine.ts";
import { readImageName, repositoryName } from "../image-name.ts";

const imageId = /^(?:sha256:)?[0-9a-f]{12,64}$/;

/** Checked here and not by the engine: a reference becomes part of a path, and `../..` is none of ours to ask for. */
export function checkedReference(reference: string): string {
  if (!imageId.test(reference)) readImageName(reference);
  return reference;
}

/** Name and tag (or digest) as the pull call wants them. Without either, the tag is `latest`: else all tags would come. */
export function pullTarget(reference: string): { name: string; tag: string } {
  const name = readImageName(reference);
  return { name: repositoryName(name), tag: name.digest ?? name.tag ?? "latest" };
}

/** A container's or volume's id or name as a piece of a path. */
export function checkedName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(name)) return name;
  throw new EngineError("not-found", `"${name.slice(0, 200)}" is no name of a container or volume`);
}
