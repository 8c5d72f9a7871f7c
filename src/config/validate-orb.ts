import type { CompileResult } from "./compile-config.ts";
import { Reporter } from "./diagnostics/reporter.ts";
import { Source } from "./diagnostics/source.ts";
import { expandExecutor } from "./expand/executors.ts";
import { expandJob } from "./expand/job.ts";
import { fetchOrbs } from "./expand/orb-fetch.ts";
import { linkOrbs } from "./expand/orbs.ts";
import { checkDefaults, definitionFrame, parametersOf } from "./expand/parameters.ts";
import { type Here, namespaceOf, type Pass } from "./expand/pass.ts";
import { expandSteps } from "./expand/steps.ts";
import type { OrbSource } from "./orb-source.ts";
import { limits } from "./parse/limits.ts";
import { brokenNode, type Entry, get, type MapNode, mapNode, type Node, scalarNode } from "./parse/node.ts";
import { parse } from "./parse/parse.ts";
import { pipelineValues } from "./pipeline-values.ts";
import { checkOrb } from "./schema/config.ts";

export interface OrbCheckOptions {
  /** How diagnostics call the text; default `orb.yml`. */
  file?: string;
  /** Where the orbs come from that this one imports. */
  orbs?: OrbSource;
  signal?: AbortSignal;
}

/** Checks a packed orb and everything it defines, whether it is used or not. Never rejects; see compileConfig. */
export async function validateOrb(
  text: string,
  options: OrbCheckOptions = {},
): Promise<Pick<CompileResult, "diagnostics" | "texts">> {
  const source = new Source(options.file ?? "orb.yml", text);
  const reporter = new Reporter();
  const root = parse(source, reporter);
  const sources = [source];
  if (root && checkOrb(root, reporter)) {
    const bare: Here = { pass: passOf(reporter), scope: { namespace: namespaceOf(root, "orb", new Map()) } };
    const fetched = await fetchOrbs(get(root, "orbs"), bare, { source: options.orbs, signal: options.signal });
    const orbs = linkOrbs(get(root, "orbs"), bare, fetched);
    checkDefinitions({ ...bare, scope: { namespace: namespaceOf(root, "orb", orbs) } });
    sources.push(...fetched.sources);
  }
  return { diagnostics: reporter.diagnostics, texts: new Map(sources.map((one) => [one.file, one.text])) };
}

/** Nothing runs here, so that the pipeline values are those of a local run. */
function passOf(reporter: Reporter): Pass {
  return {
    reporter,
    pipeline: pipelineValues,
    templating: true,
    templates: new Map(),
    checkedSteps: new Map(),
    heads: new Map(),
    budget: { left: limits.expansion, told: false },
  };
}

/** Calls every definition once: with its defaults, and where it has none, with a value that fits everywhere. */
function checkDefinitions(here: Here): void {
  const { commands, executors, jobs } = here.scope.namespace;
  for (const [name, definition] of executors) {
    const inside = checked("executor", name, definition, here);
    const call = new Map([["name", entryOf("name", scalarNode(name, definition))], ...openArguments(definition)]);
    expandExecutor(mapNode(call, definition), inside);
  }
  for (const [name, definition] of commands) {
    const inside = checked("command", name, definition, here);
    expandSteps(stepOf(name, definition), inside, []);
  }
  for (const [name, definition] of jobs) {
    const inside = checked("job", name, definition, here);
    expandJob({ definition, home: here.scope, args: openArguments(definition), at: definition }, here, inside);
  }
}

function checked(kind: string, name: string, definition: Node, here: Here): Here {
  const inside = definitionFrame(here, kind, name);
  checkDefaults(definition, inside);
  return inside;
}

function stepOf(name: string, definition: Node): MapNode {
  return mapNode(new Map([[name, entryOf(name, mapNode(openArguments(definition), definition))]]), definition);
}

function openArguments(definition: Node): Map<string, Entry> {
  const required = [...parametersOf(definition).values()].filter((parameter) => parameter.fallback === undefined);
  return new Map(required.map(({ name }) => [name, entryOf(name, brokenNode(definition))]));
}

function entryOf(key: string, value: Node): Entry {
  return { key: scalarNode(key, value), value };
}
