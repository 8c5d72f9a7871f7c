import { z } from "zod";
import { askRegistry, type RegistryOptions, type RegistryRefusal, unavailable } from "./graphql.ts";
import { newestFirst } from "./versions.ts";

export interface ListedOrb {
  /** `namespace/name`. */
  name: string;
  /** Newest first. */
  versions: string[];
}

/** Every orb of a registry, or of one namespace of it, page by page. Never rejects. */
export async function listRegistryOrbs(
  registry: RegistryOptions,
  { namespace, signal }: { namespace?: string | undefined; signal?: AbortSignal },
): Promise<{ ok: true; orbs: ListedOrb[] } | RegistryRefusal> {
  const orbs: ListedOrb[] = [];
  for (let after = ""; ; ) {
    const page = await askRegistry(registry, { ...questionFor(namespace, after), schema: Data, signal });
    if (!page.ok) return page;
    if (!page.data) return unavailable(registry.url, page.errors.join("; ") || "it gave no answer");
    const connection = namespace === undefined ? page.data.orbs : page.data.registryNamespace?.orbs;
    const edges = connection?.edges ?? [];
    orbs.push(...edges.map(({ node }) => listed(node)));
    const last = edges.at(-1)?.cursor;
    if (!connection?.pageInfo.hasNextPage || last === undefined || last === after) return { ok: true, orbs };
    after = last;
  }
}

const page = "edges { cursor node { name versions(count: 200) { version } } } pageInfo { hasNextPage }";

function questionFor(
  namespace: string | undefined,
  after: string,
): { query: string; variables: Record<string, unknown> } {
  if (namespace === undefined)
    return {
      query: `query ($after: String!) { orbs(first: 20, after: $after, certifiedOnly: false) { ${page} } }`,
      variables: { after },
    };
  return {
    query: `query ($namespace: String, $after: String!) { registryNamespace(name: $namespace) { orbs(first: 20, after: $after) { ${page} } } }`,
    variables: { namespace, after },
  };
}

const Node = z.object({ name: z.string(), versions: z.array(z.object({ version: z.string() })) });
const Connection = z.object({
  edges: z.array(z.object({ cursor: z.string(), node: Node })),
  pageInfo: z.object({ hasNextPage: z.boolean() }),
});
const Data = z.object({
  orbs: Connection.nullish(),
  registryNamespace: z.object({ orbs: Connection }).nullish(),
});

function listed({ name, versions }: z.output<typeof Node>): ListedOrb {
  return { name, versions: versions.map(({ version }) => version).sort(newestFirst) };
}
