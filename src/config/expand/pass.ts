import type { Finding, Reporter } from "../diagnostics/reporter.ts";
import type { Place } from "../diagnostics/source.ts";
import { limits } from "../parse/limits.ts";
import { type Entry, get, type Node, type Scalar } from "../parse/node.ts";
import type { Template } from "./template/parse.ts";

/** One expansion of one config: what is the same at every place of it. */
export interface Pass {
  reporter: Reporter;
  /** Values of `pipeline.…` names; null where a name is known and has no value now. Parameters as `pipeline.parameters.x`. */
  pipeline: ReadonlyMap<string, Scalar>;
  /** False in version 2: there `<<` is text. */
  templating: boolean;
  templates: Map<string, Template>;
  /** By step name: options as they are written, and whether they are right. */
  checkedSteps: Map<string, Map<Node, boolean>>;
  /** Jobs without their steps, where no template is in them. */
  heads: Map<Node, { namespace: Namespace; head: Record<string, unknown> }>;
  /** Nodes and characters that may still be made. */
  budget: { left: number; told: boolean };
}

/** The definitions that names mean at one place: those of the project, or those of one orb. */
export interface Namespace {
  kind: "project" | "orb";
  commands: ReadonlyMap<string, Node>;
  executors: ReadonlyMap<string, Node>;
  jobs: ReadonlyMap<string, Node>;
  /** Of the project only. */
  groups: ReadonlyMap<string, Node>;
  /** By the name that they are imported under. */
  orbs: ReadonlyMap<string, Namespace | MissingOrb>;
}

/** An orb that could not be imported. It is an error only when something uses it: then the finding is told. */
export interface MissingOrb {
  kind: "missing";
  /** Undefined: told already. */
  finding?: Finding | undefined;
}

/** What `<< … >>` can see. Lexical: a definition sees its own parameters only. */
export interface Scope {
  namespace: Namespace;
  parameters?: ReadonlyMap<string, Node> | undefined;
  /** Arguments of this instance of a matrix. */
  matrix?: ReadonlyMap<string, Entry> | undefined;
  /** The commands around this place, innermost first. Steps given as an argument are around nothing but their caller. */
  within?: Within | undefined;
}

export interface Within {
  command: Node;
  parent: Within | undefined;
}

/** How the expansion came here: for the chain of a diagnostic, and against recursion. */
export interface Frame {
  kind: "workflow" | "job" | "command" | "executor" | "definition";
  name: string;
  parent?: Frame | undefined;
  depth: number;
}

/** Where the expansion is. */
export interface Here {
  pass: Pass;
  scope: Scope;
  frame?: Frame | undefined;
  /** Lists of steps around this place. */
  level?: number | undefined;
}

export function enter(here: Here, frame: Omit<Frame, "parent" | "depth">, scope: Scope = here.scope): Here {
  return {
    pass: here.pass,
    scope,
    level: here.level,
    frame: { ...frame, parent: here.frame, depth: (here.frame?.depth ?? 0) + 1 },
  };
}

export function report(here: Here, finding: Omit<Finding, "chain">): void {
  here.pass.reporter.report({ ...finding, chain: chainOf(here.frame) });
}

function chainOf(frame: Frame | undefined): string[] {
  const chain: string[] = [];
  for (let at = frame; at; at = at.parent) {
    chain.unshift(
      at.kind === "definition" ? `Error in definition of ${at.name}` : `Error calling ${at.kind}: '${at.name}'`,
    );
  }
  return chain;
}

/** Takes from the budget; false when nothing is left, which is told once. */
export function spend(here: Here, amount: number, at: Place): boolean {
  const { budget } = here.pass;
  budget.left -= amount;
  if (budget.left >= 0) return true;
  if (!budget.told) {
    budget.told = true;
    const message = `The config expands to more than ${limits.expansion} values.`;
    report(here, { code: "too-big", at, message, hint: "Commands that call commands multiply, and so do matrices." });
  }
  return false;
}

/** The definitions of a config or an orb. */
export function namespaceOf(root: Node, kind: Namespace["kind"], orbs: Namespace["orbs"]): Namespace {
  return {
    kind,
    orbs,
    commands: definitions(root, "commands"),
    executors: definitions(root, "executors"),
    jobs: definitions(root, "jobs"),
    groups: definitions(root, "job-groups"),
  };
}

function definitions(root: Node, key: string): ReadonlyMap<string, Node> {
  const node = get(root, key);
  return new Map(node?.kind === "map" ? [...node.entries].map(([name, { value }]) => [name, value]) : []);
}
