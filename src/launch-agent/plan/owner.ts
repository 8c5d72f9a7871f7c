import { createHash } from "node:crypto";
import type { Secret } from "../../lib/secret.ts";
import { label } from "./labels.ts";

/**
 * Whose something on an engine is. The name of an agent is its own only in its classes, and those are of one control plane: whoever
 * shares no more than the name with what it finds leaves it alone.
 */
export interface Owner {
  name: string;
  /** Of the control plane, see scopeOf. Undefined: no other agent ever has this name. */
  scope?: string;
  /** Those that the agent serves. */
  classes?: readonly ServedClass[];
}

/** `name`: as the operator says, who need not. */
export interface ServedClass {
  name?: string;
  token: Secret;
}

/** On all that an agent makes. What is made for one task is of that task's class alone: see ofClasses. */
export function ownerLabels({ name, scope, classes = [] }: Owner): Record<string, string> {
  return {
    [label.agent]: name,
    ...(scope === undefined ? {} : { [label.scope]: scope }),
    ...(classes.length === 0 ? {} : ofClasses(classes.map(wordOf))),
  };
}

export function ofClasses(words: readonly string[]): Record<string, string> {
  return { [label.classes]: words.toSorted().join(",") };
}

export function classesOn(labels: Readonly<Record<string, string>>): string[] {
  return labels[label.classes]?.split(",") ?? [];
}

/** The word for a class in a label, while nobody may have asked the control plane for its name. */
export function wordOf({ name, token }: ServedClass): string {
  return name ?? `#${shortHash(token.reveal())}`;
}

/** Tells control planes on one engine apart: by their addresses, as agents know nothing else of them that stays. */
export function scopeOf(baseUrl: string): string {
  return shortHash(new URL(baseUrl).href.replace(/\/+$/, ""));
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
