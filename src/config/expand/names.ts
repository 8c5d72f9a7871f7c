import { suggestion } from "../../lib/nearest.ts";
import type { DiagnosticCode } from "../diagnostics/codes.ts";
import type { Place } from "../diagnostics/source.ts";
import type { Node } from "../parse/node.ts";
import { builtinSteps } from "../schema/steps.ts";
import { type Here, type Namespace, report } from "./pass.ts";

export type Kind = "command" | "executor" | "job";

const fields = { command: "commands", executor: "executors", job: "jobs" } as const;
const codes: Record<Kind, DiagnosticCode> = {
  command: "unknown-command",
  executor: "unknown-executor",
  job: "unknown-job",
};

export type Found = { definition: Node; namespace: Namespace } | "missing-orb" | undefined;

/** What a name means at a place: a definition there, or `orb/name` of an orb that is imported there. */
export function find(kind: Kind, name: string, here: Here): Found {
  const { namespace } = here.scope;
  const own = namespace[fields[kind]].get(name);
  if (own) return { definition: own, namespace };
  const slash = name.indexOf("/");
  if (slash === -1) return undefined;
  const orb = namespace.orbs.get(name.slice(0, slash));
  if (orb?.kind === "missing") {
    if (orb.finding) here.pass.reporter.report(orb.finding);
    return "missing-orb";
  }
  const definition = orb?.[fields[kind]].get(name.slice(slash + 1));
  return definition && orb ? { definition, namespace: orb } : undefined;
}

/** Tells that a name means nothing, and what was perhaps meant. */
export function notFound(kind: Kind, name: string, here: Here, at: Place): void {
  const message = `Cannot find a definition for ${kind} named ${name}`;
  const { namespace } = here.scope;
  const slash = name.indexOf("/");
  const alias = name.slice(0, Math.max(0, slash));
  if (slash > 0 && !namespace.orbs.has(alias)) {
    const hint =
      suggestion(alias, namespace.orbs.keys(), "Imported orbs are") ?? `Import the orb under \`orbs:\` as ${alias}.`;
    report(here, { code: "unknown-orb", at, message, hint });
  } else
    report(here, {
      code: codes[kind],
      at,
      message,
      hint: suggestion(name, namesOf(kind, namespace), `Known ${kind}s are`),
    });
}

function namesOf(kind: Kind, namespace: Namespace): string[] {
  const names = [...namespace[fields[kind]].keys(), ...(kind === "command" ? builtinSteps.keys() : [])];
  for (const [alias, orb] of namespace.orbs) {
    if (orb.kind !== "missing") names.push(...[...orb[fields[kind]].keys()].map((name) => `${alias}/${name}`));
  }
  return names;
}
