import { createHash } from "node:crypto";
import { newestFirst } from "../../orbs/versions.ts";
import type { Context } from "../context.ts";
import { liveVersions, putOrbVersion, sweepOrbs } from "../store/orbs.ts";
import { isDevelopment, nameProblem, type OrbVersionName } from "./names.ts";
import { allOrbs } from "./source.ts";

/** How long a development version is kept after it was published last, as CircleCI does. */
export const developmentLifetimeMs = 90 * 24 * 60 * 60_000;
const maxErrors = 20;

export type Publication = { published: true } | { published: false; errors: string[] };

/**
 * Adds a version of an orb; namespace and orb come to be with their first version. The text has to be valid, with the orbs that it imports.
 * A release is published once and never changes; a `dev:` label is replaced, and expires.
 */
export async function publishOrb(context: Context, orb: OrbVersionName, text: string): Promise<Publication> {
  const problem = nameProblem(orb);
  if (problem !== undefined) return { published: false, errors: [problem] };
  const errors = await errorsOf(context, text);
  if (errors.length > 0) return { published: false, errors };
  const nowMs = context.clock.now();
  return await context.store.transaction(async (unit) => {
    const { db } = unit;
    await unit.lock("orbs");
    const taken = isDevelopment(orb.version) ? undefined : takenProblem(orb, await liveVersions(db, orb, nowMs));
    if (taken !== undefined) return { published: false, errors: [taken] };
    const { namespace, name, version } = orb;
    const expires_ms = isDevelopment(version) ? nowMs + developmentLifetimeMs : null;
    const hash = createHash("sha256").update(text).digest("hex");
    const row = { id: context.newId(), namespace, name, version, hash, published_ms: nowMs, expires_ms };
    await putOrbVersion(db, row, text);
    await sweepOrbs(db, nowMs);
    return { published: true };
  });
}

async function errorsOf(context: Context, text: string): Promise<string[]> {
  // Loaded with the first publication: most control planes run pipelines, and never see an orb's text.
  const { renderDiagnostic, validateOrb } = await import("../../config/index.ts");
  const { diagnostics, texts } = await validateOrb(text, {
    file: "orb.yml",
    orbs: allOrbs(context),
    signal: context.closing,
  });
  const errors = diagnostics.filter((one) => one.severity === "error");
  const told = errors.slice(0, maxErrors).map((one) => renderDiagnostic(one, texts));
  return errors.length > maxErrors ? [...told, `and ${errors.length - maxErrors} errors more`] : told;
}

function takenProblem(orb: OrbVersionName, versions: readonly { version: string }[]): string | undefined {
  if (!versions.some(({ version }) => version === orb.version)) return undefined;
  const newest = versions.map(({ version }) => version).sort(newestFirst)[0] ?? "";
  const [major, minor, patch] = newest.split(".").map(Number);
  return (
    `${orb.namespace}/${orb.name}@${orb.version} is published already, and what is published never changes. ` +
    `The newest version is ${newest}; the next one could be ${major}.${minor}.${(patch ?? 0) + 1}`
  );
}
