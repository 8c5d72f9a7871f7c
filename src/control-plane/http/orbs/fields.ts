import { z } from "zod";
import { newestFirst } from "../../../orbs/versions.ts";
import type { Context } from "../../context.ts";
import type { OrbVersionName } from "../../orbs/names.ts";
import { publishOrb } from "../../orbs/publish.ts";
import { resolveOrb } from "../../orbs/source.ts";
import { countOrbs, liveVersions, type OrbName, orbText, pageOfOrbs } from "../../store/orbs.ts";
import type { Row } from "../../store/schema.ts";
import { GraphqlError } from "../graphql/document.ts";
import { type Fields, field, type Value } from "../graphql/execute.ts";

const Ref = z.strictObject({ orbVersionRef: z.string() });
const Name = z.strictObject({ name: z.string() });
const Count = z.strictObject({ count: z.int().min(0).max(1000).default(200) });
const Publish = z.strictObject({
  namespaceName: z.string(),
  orbName: z.string(),
  version: z.string(),
  orbYaml: z.string(),
});
const Page = z.object({ first: z.int().min(1).max(100).default(20), after: z.string().nullish() });

/** The fields of CircleCI's registry that have to do with orbs, as its command line asks for them. */
export function orbFields(context: Context): { query: Fields; mutation: Fields } {
  return {
    query: {
      orbVersion: field(Ref, ({ orbVersionRef }) => versionOf(context, orbVersionRef)),
      orb: field(Name, ({ name }) => orbOf(context, name)),
      orbs: field(Page, (page) => connection(context, page)),
      registryNamespace: field(Name, async ({ name }) => {
        if ((await countOrbs(context.store.db, context.clock.now(), name)) === 0) return null;
        return { id: name, name, orbs: field(Page, (page) => connection(context, { ...page, namespace: name })) };
      }),
    },
    mutation: {
      publishOrb: field(Publish, async ({ namespaceName, orbName, version, orbYaml }) => {
        const orb = { namespace: namespaceName, name: orbName, version };
        const publication = await publishOrb(context, orb, orbYaml);
        if (publication.published) return { orb: { version }, errors: [] };
        return { orb: null, errors: publication.errors.map((message) => ({ message })) };
      }),
    },
  };
}

async function versionOf(context: Context, reference: string): Promise<Value> {
  const orb = parseReference(reference);
  const row = orb && (await resolveOrb(context, orb));
  return row ? { ...versionFields(context, row), orb: () => orbFieldsOf(context, row) } : null;
}

async function orbOf(context: Context, reference: string): Promise<Value> {
  const orb = parseReference(reference);
  if (!orb) return null;
  const versions = await liveVersions(context.store.db, orb, context.clock.now());
  return versions.length === 0 ? null : orbFieldsOf(context, orb);
}

function orbFieldsOf(context: Context, { namespace, name }: OrbName): Fields {
  const versions = field(Count, async ({ count }) => {
    const rows = await liveVersions(context.store.db, { namespace, name }, context.clock.now());
    const sorted = rows.sort((one, other) => newestFirst(one.version, other.version));
    return sorted.slice(0, count).map((row) => versionFields(context, row));
  });
  const full = `${namespace}/${name}`;
  return {
    // Whoever gives an orb's id back names the orb, and names never change.
    id: full,
    name: full,
    namespace: { name: namespace },
    createdAt: async () => {
      const rows = await liveVersions(context.store.db, { namespace, name }, context.clock.now());
      return dateOf(Math.min(...rows.map(({ published_ms }) => published_ms)));
    },
    isPrivate: true,
    // Neither is kept here; clients that ask for them do not fail for it.
    categories: [],
    statistics: null,
    versions,
  };
}

function versionFields(context: Context, row: Row<"orb_version">): Fields {
  return {
    id: row.id,
    version: row.version,
    createdAt: dateOf(row.published_ms),
    source: async () => (await orbText(context.store.db, row.hash)) ?? null,
  };
}

function dateOf(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

/** A page of orbs. Its cursors are their names. */
async function connection(
  context: Context,
  { first, after, namespace }: z.output<typeof Page> & { namespace?: string },
): Promise<Fields> {
  const { db } = context.store;
  const nowMs = context.clock.now();
  const last = after ? parseReference(after) : undefined;
  if (after && !last) throw new GraphqlError(`after: "${after}" is no cursor`);
  const orbs = await pageOfOrbs(db, { namespace, after: last, limit: first + 1, nowMs });
  const nodes = orbs.slice(0, first).map((orb) => ({
    cursor: `${orb.namespace}/${orb.name}`,
    node: orbFieldsOf(context, orb),
  }));
  return {
    totalCount: () => countOrbs(db, nowMs, namespace),
    edges: nodes,
    pageInfo: { hasNextPage: orbs.length > first },
  };
}

/** `namespace/name@version`; without a version the newest release is meant. */
function parseReference(reference: string): OrbVersionName | undefined {
  const [, namespace, name, version = "volatile"] = /^([^/@\s]+)\/([^/@\s]+)(?:@(\S+))?$/.exec(reference) ?? [];
  return namespace !== undefined && name !== undefined ? { namespace, name, version } : undefined;
}
