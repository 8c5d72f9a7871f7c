import { readImageName, repositoryName } from "../../engine/image-name.ts";
import type { OwnContainer, Replacer } from "../../engine/replacer.ts";
import { label } from "../plan/labels.ts";

/** This process's container by /proc/self/mountinfo: the engine puts a file of its own at /etc/hostname. Undefined outside of one. */
export function ownContainerId(mountinfo: string): string | undefined {
  return /\/([0-9a-f]{64})\/(?:userdata\/)?hostname \/etc\/hostname /.exec(mountinfo)?.[1];
}

/** The container, or why an agent in it cannot be replaced by itself. */
export async function findReplaceable(
  replacer: Replacer,
  mountinfo: string,
  signal: AbortSignal,
): Promise<{ own: OwnContainer } | { problem: string }> {
  const id = ownContainerId(mountinfo);
  const own = id === undefined ? undefined : await replacer.look(id, signal);
  if (own === undefined) return { problem: "it does not run in a container of this engine" };
  const problem = problemOf(own);
  return problem === undefined ? { own } : { problem };
}

function problemOf(own: OwnContainer): string | undefined {
  if (own.labels[label.role] !== "launch-agent") return `container ${own.name} is not of the launch agent's image`;
  if ("com.docker.swarm.service.id" in own.labels)
    return "a Swarm service restarts what is replaced: use docker service update --image";
  if (own.publishesPorts)
    return "it publishes a port, which its successor could not have beside it: reach it over a network";
  if (repositoryOf(own.imageReference) === undefined)
    return `it was started from ${own.imageReference}, which names no repository: start it by name`;
  return undefined;
}

/** Without tag and digest, one spelling for each; undefined for what is no name, such as the id of an image. */
export function repositoryOf(reference: string): string | undefined {
  try {
    return repositoryName(readImageName(reference));
  } catch {
    return undefined;
  }
}
