import type { Image } from "../engine.ts";
import { checked, ImageAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { imageIdOf } from "./dialect.ts";
import { checkedReference } from "./reference.ts";
import { parseJson } from "./transport.ts";

export async function findImage(client: Client, reference: string, signal: AbortSignal): Promise<Image | undefined> {
  const what = `look for image ${reference}`;
  const path = `/images/${checkedReference(reference)}/json`;
  const answer = await client.call({ method: "GET", path, what, signal }, [404]);
  if (answer.status === 404) return undefined;
  return imageOf(checked(ImageAnswer, parseJson(answer.body, what), what));
}

function imageOf(answer: ImageAnswer): Image {
  const config = answer.Config;
  return {
    id: imageIdOf(answer.Id),
    architecture: answer.Architecture,
    user: config?.User ?? "",
    environment: Object.fromEntries((config?.Env ?? []).map(splitAssignment)),
    entrypoint: config?.Entrypoint ?? [],
    command: config?.Cmd ?? [],
    labels: config?.Labels ?? {},
    tags: realNames(answer.RepoTags),
    digests: realNames(answer.RepoDigests),
  };
}

/** Docker lists an image without a name as `<none>:<none>`. */
export function realNames(names: readonly string[]): string[] {
  return names.filter((name) => !name.startsWith("<none>"));
}

function splitAssignment(line: string): [string, string] {
  const at = line.indexOf("=");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}
