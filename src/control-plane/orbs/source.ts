import { firstOf, type OrbSource } from "../../config/orb-source.ts";
import { newestFirst, resolveVersion } from "../../orbs/versions.ts";
import type { Context } from "../context.ts";
import { liveVersions, orbText } from "../store/orbs.ts";
import type { Row } from "../store/schema.ts";
import type { OrbVersionName } from "./names.ts";

/** The version that a reference stands for now; undefined when there is none. */
export async function resolveOrb(
  { store, clock }: Context,
  orb: OrbVersionName,
): Promise<Row<"orb_version"> | undefined> {
  const versions = await liveVersions(store.db, orb, clock.now());
  const resolved = resolveVersion(
    orb.version,
    versions.map(({ version }) => version),
  );
  return versions.find(({ version }) => version === resolved);
}

/** What is published here, and then whatever else this control plane knows, as the compiler asks for orbs. */
export function allOrbs(context: Context): OrbSource {
  return firstOf([registryOrbs(context), ...(context.orbs ? [context.orbs] : [])]);
}

function registryOrbs(context: Context): OrbSource {
  const { store, clock } = context;
  return {
    async find(reference) {
      if (reference.kind === "url") return { found: false, reason: "no-such-orb" };
      const orb = `${reference.namespace}/${reference.name}`;
      const found = await resolveOrb(context, reference);
      const text = found && (await orbText(store.db, found.hash));
      if (found && text !== undefined) return { found: true, resolved: `${orb}@${found.version}`, text };
      const versions = await liveVersions(store.db, reference, clock.now());
      if (versions.length === 0) return { found: false, reason: "no-such-orb", detail: "it is not published here" };
      const known = versions.map(({ version }) => version).sort(newestFirst);
      return { found: false, reason: "no-such-version", detail: `${orb} is published in other versions`, known };
    },
  };
}
