import type { StoredImage } from "../engine.ts";
import { readImageName, repositoryName } from "../image-name.ts";
import { checked, ImageListAnswer, ImageUsersAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { imageIdOf } from "./dialect.ts";
import { realNames } from "./image.ts";
import { checkedReference } from "./reference.ts";

export async function listImages(client: Client, signal: AbortSignal): Promise<StoredImage[]> {
  const what = "list images";
  const [answer, used] = await Promise.all([
    client.json({ method: "GET", path: "/images/json", what, signal }),
    usedImages(client, signal),
  ]);
  return checked(ImageListAnswer, answer, what).map((image) => ({
    id: imageIdOf(image.Id),
    tags: realNames(image.RepoTags),
    digests: realNames(image.RepoDigests),
    sizeBytes: image.Size,
    createdMs: image.Created * 1000,
    inUse: used.has(imageIdOf(image.Id)),
  }));
}

async function usedImages(client: Client, signal: AbortSignal): Promise<Set<string>> {
  const what = "list containers";
  const answer = await client.json({ method: "GET", path: "/containers/json", query: { all: "1" }, what, signal });
  return new Set(checked(ImageUsersAnswer, answer, what).map((container) => imageIdOf(container.ImageID)));
}

export async function tagImage(client: Client, id: string, name: string, signal: AbortSignal): Promise<void> {
  const read = readImageName(name);
  const path = `/images/${checkedReference(id)}/tag`;
  const query = { repo: repositoryName(read), tag: read.tag ?? "latest" };
  await client.call({ method: "POST", path, query, what: `name image ${id} ${name}`, signal });
}

/** Never forced: the engine itself refuses to take what a container stands on. */
export async function removeImage(client: Client, name: string, signal: AbortSignal): Promise<void> {
  const path = `/images/${checkedReference(name)}`;
  const what = `remove image ${name}`;
  await client.call({ method: "DELETE", path, what, signal, timeoutMs: client.longCallTimeoutMs }, [404]);
}
