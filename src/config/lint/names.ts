import type { Reporter } from "../diagnostics/reporter.ts";
import type { Entry, MapNode, ScalarNode } from "../parse/node.ts";
import { definitionsOf } from "./definitions.ts";

/** Names that mislead: two for the eye where there is one, or one where there are two. */
export function lintNames(root: MapNode, reporter: Reporter): void {
  lintForm(root, reporter);
  lintCapitals(root, reporter);
  lintKinds(root, reporter);
}

const forms = {
  jobs: /^[A-Za-z][A-Za-z\s\d_-]*$/,
  "job-groups": /^[A-Za-z][A-Za-z\s\d_-]*$/,
  commands: /^[a-z][a-z\d_-]*$/,
  executors: /^[a-z][a-z\d_-]*$/,
} as const;

function lintForm(root: MapNode, reporter: Reporter): void {
  for (const [section, form] of Object.entries(forms)) {
    for (const [name, { key }] of definitionsOf(root, section)) {
      if (form.test(name)) continue;
      const isLoose = section.startsWith("job");
      const hint = isLoose
        ? "Names of jobs begin with a letter, and have letters, digits, blanks, _ and -."
        : "Names of commands and executors begin with a small letter, and have small letters, digits, _ and -.";
      reporter.report({
        code: "bad-name",
        at: key,
        message: `The name "${name}" is not one that ${section} can have.`,
        hint,
      });
    }
  }
}

function lintCapitals(root: MapNode, reporter: Reporter): void {
  const seen = new Map<string, string>();
  for (const [name, { key }] of definitionsOf(root, "jobs")) {
    const other = seen.get(name.toLowerCase());
    seen.set(name.toLowerCase(), name);
    if (other === undefined) continue;
    const message = `The jobs "${other}" and "${name}" differ in capitals only.`;
    reporter.report({ code: "duplicate-job", at: key, message, hint: "Give one of them another name." });
  }
}

const kinds: readonly (readonly [section: string, kind: string])[] = [
  ["workflows", "workflow"],
  ["jobs", "job"],
  ["commands", "command"],
  ["job-groups", "job group"],
];

function lintKinds(root: MapNode, reporter: Reporter): void {
  const taken = new Map<string, string>();
  for (const [section, kind] of kinds) {
    for (const [name, entry] of definitionsOf(root, section)) {
      if (section === "workflows" && name === "version") continue;
      const other = taken.get(name);
      if (other === undefined) taken.set(name, kind);
      else reporter.report({ code: "ambiguous-name", at: keyOf(entry), ...wording(name, other) });
    }
  }
}

function keyOf({ key }: Entry): ScalarNode {
  return key;
}

function wording(name: string, kind: string): { message: string; hint: string } {
  return {
    message: `The name "${name}" is already used to define a ${kind}. You might want to use a different name to avoid confusion.`,
    hint: "Nothing goes wrong: logs and messages only read better with two names.",
  };
}
