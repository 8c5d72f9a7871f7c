import { z } from "zod";
import type { RegistryOrbReference } from "../config/index.ts";
import { askRegistry, type RegistryOptions, type RegistryRefusal, unavailable } from "./graphql.ts";

/** `refused`: the registry looked at it, and does not take it; in its own words. */
export type Publication = { published: true } | { published: false; refused: string[] } | RegistryRefusal;

/** Publishes a packed orb. Never rejects. When the answer is lost, it may have been published. */
export async function publishOrb(
  registry: RegistryOptions,
  orb: Omit<RegistryOrbReference, "kind">,
  publication: { text: string; signal?: AbortSignal },
): Promise<Publication> {
  const variables = {
    config: publication.text,
    orbName: orb.name,
    namespaceName: orb.namespace,
    version: orb.version,
  };
  const { signal } = publication;
  const answer = await askRegistry(registry, { query, variables, schema: Data, signal });
  if (!answer.ok) return answer;
  const result = answer.data?.publishOrb;
  const refused = [...answer.errors, ...(result?.errors ?? []).map(({ message }) => message)];
  if (refused.length > 0) return { published: false, refused };
  return result?.orb ? { published: true } : unavailable(registry.url, "it does not say whether the orb is published");
}

const query = `mutation($config: String!, $orbName: String, $namespaceName: String, $version: String!) {
  publishOrb(orbName: $orbName, namespaceName: $namespaceName, orbYaml: $config, version: $version) {
    orb { version }
    errors { message }
  }
}`;

const Data = z.object({
  publishOrb: z
    .object({
      orb: z.object({ version: z.string() }).nullish(),
      errors: z.array(z.object({ message: z.string() })).nullish(),
    })
    .nullish(),
});
